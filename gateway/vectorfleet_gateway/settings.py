"""How the process is configured: environment variables with the prefix `VECTORFLEET_`."""

from pathlib import Path
from typing import Literal

import pydantic
from pydantic import Field
from pydantic_settings import BaseSettings, SettingsConfigDict

from vectorfleet_runtime import certificates, credentials, grants, parties
from vectorfleet_shardnode.api import config

from . import audit, errors
from .auth import bearers


class Settings(BaseSettings):
    """The gateway's settings; each field is the variable `VECTORFLEET_<NAME>`."""

    model_config = SettingsConfigDict(env_prefix="VECTORFLEET_", frozen=True)

    config: Path = Path("/etc/vectorfleet/config/index.json")
    host: str = "127.0.0.1"
    http_port: int = Field(default=8080, ge=0, le=65_535)
    metrics_port: int = Field(default=9090, ge=0, le=65_535)
    api_keys_dir: Path = Path("/etc/vectorfleet/api-keys")
    internal_token_file: Path = Path("/etc/vectorfleet/internal/token")
    internal_tls_dir: Path | None = None
    tls_dir: Path | None = None
    hosts_file: Path | None = None
    jwt_keys: str = ""
    jwt_audience: str = ""
    jwt_issuer: str = ""
    jwt_algorithms: str = "RS256,EdDSA"
    jwt_leeway_seconds: float = Field(default=30, ge=0, le=600)
    jwt_role_claim: str = Field(default="role", min_length=1)
    jwt_namespaces_claim: str = Field(default="namespaces", min_length=1)
    jwt_max_role: Literal["read", "write", "admin"] = "write"
    jwt_requests_per_second: float | None = Field(default=None, gt=0, le=1e9)
    jwt_burst: float | None = Field(default=None, ge=1, le=1e9)
    jwt_rows_per_second: float | None = Field(default=None, gt=0, le=1e9)
    jwt_requests_per_day: int | None = Field(default=None, ge=1, le=10**12)
    embedder_key_file: Path | None = None
    reranker_key_file: Path | None = None
    max_body_bytes: int = Field(default=32 * 1024 * 1024, ge=1024, le=1024**3)
    max_requests: int = Field(default=512, ge=1, le=100_000)
    max_bodies_bytes: int = Field(default=128 * 1024 * 1024, ge=1024, le=1024**4)
    request_timeout_seconds: float = Field(default=30, gt=0, le=600)
    # One process is one worker; a fleet of gateways is a Deployment with more replicas.
    workers: Literal[1] = 1
    open_docs: bool = False
    audit_log: audit.Level = audit.Level.CHANGES
    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = "INFO"
    log_format: Literal["json", "text"] = "json"


def read() -> Settings:
    """Read the settings from the environment.

    Raises:
        SettingsError: a variable can't be used; the message names it and says why.
    """
    try:
        return Settings()
    except pydantic.ValidationError as error:
        raise errors.SettingsError("; ".join(_said(one) for one in error.errors())) from None


def read_config(path: Path) -> config.IndexConfig:
    """Read the index's configuration.

    Raises:
        SettingsError: it can't be read, or it names no shard.
    """
    try:
        index = config.read(path)
    except OSError as error:
        raise errors.SettingsError(
            f"VECTORFLEET_CONFIG: can't read {path}: {error.strerror or error}"
        ) from error
    except pydantic.ValidationError as error:
        said = "; ".join(f"{'.'.join(map(str, one['loc']))}: {one['msg']}" for one in error.errors())
        raise errors.SettingsError(f"VECTORFLEET_CONFIG: {path} is no configuration: {said}") from None
    if not index.serving.shards:
        raise errors.SettingsError(f"VECTORFLEET_CONFIG: {path} names no shard in serving.shards")
    return index


def find_certificate(folder: Path | None) -> certificates.Certificates | None:
    """Find what HTTPS shows, None where HTTP is spoken.

    Raises:
        SettingsError: it can't be used.
    """
    try:
        return certificates.Certificates(folder, authorities=False) if folder else None
    except certificates.UnusableError as unusable:
        raise errors.SettingsError(f"VECTORFLEET_TLS_DIR: {unusable}") from None


def find_terms(wanted: Settings) -> bearers.Terms | None:
    """Find what tokens have to be, None where no issuer is trusted.

    Raises:
        SettingsError: no audience is named, or an algorithm that can't be allowed.
    """
    if not wanted.jwt_keys:
        return None
    try:
        return bearers.terms_of(
            wanted.jwt_audience,
            wanted.jwt_algorithms,
            issuer=wanted.jwt_issuer,
            leeway=wanted.jwt_leeway_seconds,
            role_claim=wanted.jwt_role_claim,
            namespaces_claim=wanted.jwt_namespaces_claim,
            max_role=grants.Role[wanted.jwt_max_role.upper()],
            quota=_quota_of_tokens(wanted),
        )
    except errors.SettingsError as wrong:
        raise errors.SettingsError(f"VECTORFLEET_JWT_AUDIENCE, VECTORFLEET_JWT_ALGORITHMS: {wrong}") from None


def _quota_of_tokens(wanted: Settings) -> grants.Quota | None:
    """Return how much each subject of the issuer may ask, None where nothing is said of it."""
    quota = grants.Quota(
        wanted.jwt_requests_per_second,
        wanted.jwt_burst,
        wanted.jwt_rows_per_second,
        wanted.jwt_requests_per_day,
    )
    return None if quota == grants.Quota() else quota


def find_credentials(wanted: Settings, index: config.IndexConfig) -> credentials.Credentials:
    """Find what the gateway shows to shards: certificates, or the token.

    Raises:
        SettingsError: it can't be used.
    """
    own = parties.Party(parties.Role.GATEWAY, index.index, index.namespace)
    try:
        return credentials.find(own, wanted.internal_tls_dir, wanted.internal_token_file)
    except credentials.UnsafeError as unsafe:
        variable = "INTERNAL_TLS_DIR" if wanted.internal_tls_dir else "INTERNAL_TOKEN_FILE"
        raise errors.SettingsError(f"VECTORFLEET_{variable}: {unsafe}") from None


def _said(error: "pydantic_core.ErrorDetails") -> str:  # type: ignore[name-defined]  # noqa: F821
    name = "VECTORFLEET_" + "_".join(map(str, error["loc"])).upper()
    if name == "VECTORFLEET_WORKERS":
        return "VECTORFLEET_WORKERS: more than 1 is not supported yet; run more gateways instead"
    return f"{name}: {error['msg']}, not {error['input']!r}"
