"""Certificates: made from a seed, and read. PURE: the same seed, time and names give the same certificate.

EC keys on P-256, signed by ECDSA with SHA-256 and without chance of its own (RFC 6979).
"""

import dataclasses
import datetime
import hashlib

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

_SKEW = datetime.timedelta(minutes=5)
"""Clocks of nodes may differ: a certificate is valid a little before it was made."""
_ORDER = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551
"""Of P-256's group: keys are numbers below it."""
_NAME_LENGTH = 47  # with a blank and 16 digits the 64 that X.509 takes
_SERIAL_BYTES = 16
_USAGES = (ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH)
_MARK = "-----BEGIN CERTIFICATE-----"


@dataclasses.dataclass(frozen=True)
class Pair:
    """A certificate and its private key, PEM."""

    certificate: str
    key: str = dataclasses.field(repr=False)


@dataclasses.dataclass(frozen=True)
class Span:
    """From when to when something is valid, UTC."""

    begin: datetime.datetime
    end: datetime.datetime


@dataclasses.dataclass(frozen=True)
class Facts:
    """What a certificate says: when it is valid, and for which DNS names."""

    span: Span
    names: tuple[str, ...]


def create(seed: str, name: str, span: Span) -> Pair:
    """Return a new authority.

    While authorities change, both are trusted, and each needs a name of its own: who verifies looks for the
    signer by its name, and goes no further where the first of that name did not sign.
    """
    key = _key(seed)
    common_name = f"{name[:_NAME_LENGTH]} {_serial(seed):032x}"[: _NAME_LENGTH + 17]
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common_name)])
    builder = (
        _builder(seed, key, span)
        .subject_name(subject)
        .issuer_name(subject)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(_key_usage(signs=True), critical=True)
    )
    return _pair(builder.sign(key, hashes.SHA256(), ecdsa_deterministic=True), key)


def issue(seed: str, by: Pair, name: str, span: Span) -> Pair:
    """Return a certificate for the DNS name `name`, signed by an authority and not outliving it."""
    key, signer = _key(seed), serialization.load_pem_private_key(by.key.encode(), None)
    assert isinstance(signer, ec.EllipticCurvePrivateKey)
    issuer = x509.load_pem_x509_certificate(by.certificate.encode())
    signs = issuer.extensions.get_extension_for_class(x509.SubjectKeyIdentifier).value
    identifier = x509.AuthorityKeyIdentifier.from_issuer_subject_key_identifier(signs)
    builder = (
        _builder(seed, key, Span(span.begin, min(span.end, issuer.not_valid_after_utc)))
        .subject_name(x509.Name([]))
        .issuer_name(issuer.subject)
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(name)]), critical=True)
        .add_extension(identifier, critical=False)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(_key_usage(signs=False), critical=True)
        .add_extension(x509.ExtendedKeyUsage(_USAGES), critical=False)
    )
    return _pair(builder.sign(signer, hashes.SHA256(), ecdsa_deterministic=True), key)


def read(certificate: str) -> Facts | None:
    """Return what the first certificate of a PEM text says, None where there is none."""
    try:
        found = x509.load_pem_x509_certificate(certificate.encode())
        names = found.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        names = x509.SubjectAlternativeName([])
    except ValueError:
        return None
    span = Span(found.not_valid_before_utc + _SKEW, found.not_valid_after_utc)
    return Facts(span, tuple(names.get_values_for_type(x509.DNSName)))


def signed(certificate: str, by: str) -> bool:
    """Return whether the authority with the certificate `by` has signed `certificate`."""
    try:
        issuer = x509.load_pem_x509_certificate(by.encode())
        x509.load_pem_x509_certificate(certificate.encode()).verify_directly_issued_by(issuer)
    except (ValueError, TypeError, InvalidSignature):
        return False
    return True


def fits(pair: Pair) -> bool:
    """Return whether a certificate's key is the one beside it."""
    try:
        key = serialization.load_pem_private_key(pair.key.encode(), None)
        found = x509.load_pem_x509_certificate(pair.certificate.encode())
    except (ValueError, TypeError):
        return False
    return key.public_key() == found.public_key()


def split(bundle: str) -> tuple[str, ...]:
    """Return the certificates of a PEM text one by one."""
    return tuple(f"{_MARK}{part.rstrip()}\n" for part in bundle.split(_MARK)[1:])


def _key(seed: str) -> ec.EllipticCurvePrivateKey:
    drawn = int.from_bytes(hashlib.sha512(b"key\0" + seed.encode()).digest())
    return ec.derive_private_key(drawn % (_ORDER - 1) + 1, ec.SECP256R1())


def _serial(seed: str) -> int:
    return int.from_bytes(hashlib.sha256(b"serial\0" + seed.encode()).digest()[:_SERIAL_BYTES]) >> 1 | 1


def _builder(seed: str, key: ec.EllipticCurvePrivateKey, span: Span) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder()
        .public_key(key.public_key())
        .serial_number(_serial(seed))
        .not_valid_before(span.begin - _SKEW)
        .not_valid_after(span.end)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
    )


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


def _pair(certificate: x509.Certificate, key: ec.EllipticCurvePrivateKey) -> Pair:
    secret = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    return Pair(certificate.public_bytes(serialization.Encoding.PEM).decode(), secret.decode())
