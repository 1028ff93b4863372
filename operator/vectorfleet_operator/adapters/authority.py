"""Certificates made and read with `cryptography`: EC keys on P-256, signed by the index's own authority."""

import datetime
import secrets

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from .. import ports

_SKEW = datetime.timedelta(minutes=5)
"""Clocks of nodes may differ: a certificate is valid a little before it was made."""
_NAME_LENGTH = 47  # with a blank and 16 digits the 64 that X.509 takes
_USAGES = (ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH)


class Authority:
    """Implements `ports.Authority`."""

    def create(self, name: str, begin: datetime.datetime, end: datetime.datetime) -> ports.Certificate:
        """Return a new authority's certificate and key.

        While authorities change, both are trusted, and each needs a name of its own: who verifies looks for
        the signer by its name, and goes no further where the first of that name did not sign.
        """
        key = ec.generate_private_key(ec.SECP256R1())
        common_name = f"{name[:_NAME_LENGTH]} {secrets.token_hex(8)}"
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common_name)])
        builder = (
            _builder(key, begin, end)
            .subject_name(subject)
            .issuer_name(subject)
            .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
            .add_extension(_key_usage(signs=True), critical=True)
        )
        return _pair(builder.sign(key, hashes.SHA256()), key)

    def issue(
        self, by: ports.Certificate, name: str, begin: datetime.datetime, end: datetime.datetime
    ) -> ports.Certificate:
        """Return a certificate for a DNS name, signed by an authority."""
        key = ec.generate_private_key(ec.SECP256R1())
        issuer = x509.load_pem_x509_certificate(by.certificate.encode())
        signer = serialization.load_pem_private_key(by.key.encode(), None)
        assert isinstance(signer, ec.EllipticCurvePrivateKey)
        builder = (
            _builder(key, begin, min(end, issuer.not_valid_after_utc))
            .subject_name(x509.Name([]))
            .issuer_name(issuer.subject)
            .add_extension(x509.SubjectAlternativeName([x509.DNSName(name)]), critical=True)
            .add_extension(_signer_of(issuer), critical=False)
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .add_extension(_key_usage(signs=False), critical=True)
            .add_extension(x509.ExtendedKeyUsage(_USAGES), critical=False)
        )
        return _pair(builder.sign(signer, hashes.SHA256()), key)

    def read(self, certificate: str) -> ports.Facts | None:
        """Return what a certificate says, None where it is none."""
        try:
            found = x509.load_pem_x509_certificate(certificate.encode())
            names = found.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
        except x509.ExtensionNotFound:
            names = x509.SubjectAlternativeName([])
        except ValueError:
            return None
        return ports.Facts(
            begin=found.not_valid_before_utc,
            end=found.not_valid_after_utc,
            names=tuple(names.get_values_for_type(x509.DNSName)),
        )

    def signed(self, certificate: str, by: str) -> bool:
        """Return whether an authority has signed a certificate."""
        try:
            issuer = x509.load_pem_x509_certificate(by.encode())
            x509.load_pem_x509_certificate(certificate.encode()).verify_directly_issued_by(issuer)
        except (ValueError, TypeError, InvalidSignature):
            return False
        return True


def _builder(
    key: ec.EllipticCurvePrivateKey, begin: datetime.datetime, end: datetime.datetime
) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder()
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(begin - _SKEW)
        .not_valid_after(end)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
    )


def _signer_of(issuer: x509.Certificate) -> x509.AuthorityKeyIdentifier:
    identifier = issuer.extensions.get_extension_for_class(x509.SubjectKeyIdentifier).value
    return x509.AuthorityKeyIdentifier.from_issuer_subject_key_identifier(identifier)


def _key_usage(*, signs: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not signs,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=signs,
        crl_sign=signs,
        encipher_only=False,
        decipher_only=False,
    )


def _pair(certificate: x509.Certificate, key: ec.EllipticCurvePrivateKey) -> ports.Certificate:
    secret = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    return ports.Certificate(certificate.public_bytes(serialization.Encoding.PEM).decode(), secret.decode())
