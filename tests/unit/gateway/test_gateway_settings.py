"""Configuration: what is missing or wrong is said in one line that names the variable."""

import json

import pytest

from vectorfleet_gateway import __main__ as program
from vectorfleet_gateway import audit, errors, metrics, settings
from vectorfleet_runtime import grants
from vectorfleet_shardnode.api import config

CONFIG = {
    "index": "products",
    "serving": {"dimensions": 2, "shards": [{"number": 0, "replicas": ["s0:7400"]}]},
}


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("WORKERS", "2", "VECTORFLEET_WORKERS: more than 1 is not supported yet; run more gateways instead"),
        ("HTTP_PORT", "http", "VECTORFLEET_HTTP_PORT: "),
        ("HTTP_PORT", "70000", "VECTORFLEET_HTTP_PORT: "),
        ("MAX_BODY_BYTES", "0", "VECTORFLEET_MAX_BODY_BYTES: "),
        ("REQUEST_TIMEOUT_SECONDS", "0", "VECTORFLEET_REQUEST_TIMEOUT_SECONDS: "),
        ("LOG_LEVEL", "LOUD", "VECTORFLEET_LOG_LEVEL: "),
    ],
)
def test_values_that_are_refused(monkeypatch, capsys, name, value, said):
    """One line on standard error, and exit status 2."""
    monkeypatch.setenv(f"VECTORFLEET_{name}", value)
    with pytest.raises(SystemExit) as caught:
        program.main()
    out = capsys.readouterr().err
    assert caught.value.code == 2
    assert said in out
    assert out.count("\n") == 1


def test_defaults():
    """Those that the images count on."""
    read = settings.read()
    assert (read.http_port, read.metrics_port, read.workers) == (8080, 9090, 1)
    assert read.max_body_bytes == 33_554_432
    assert read.audit_log is audit.Level.CHANGES


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("{", "is no configuration"),
        ("{}", "index: Field required"),
        (json.dumps(CONFIG | {"serving": {"dimensions": 2}}), "names no shard"),
        (json.dumps(CONFIG | {"unknown": 1}), "unknown"),
        (json.dumps(CONFIG | {"serving": CONFIG["serving"] | {"dimensions": 0}}), "serving.dimensions"),
    ],
)
def test_configurations_that_are_refused(tmp_path, text, said):
    """The message names the variable, the file, and the field."""
    file = tmp_path / "index.json"
    file.write_text(text)
    with pytest.raises(errors.SettingsError, match="VECTORFLEET_CONFIG") as caught:
        settings.read_config(file)
    assert said in str(caught.value)
    assert str(file) in str(caught.value)


def test_a_missing_configuration(tmp_path):
    """Said as it is."""
    with pytest.raises(errors.SettingsError, match="No such file"):
        settings.read_config(tmp_path / "none")


def test_a_token_that_is_refused(tmp_path):
    """The message names the variable that leads to it."""
    index = config.IndexConfig(index="shop", serving=config.Generation(dimensions=2))
    (tmp_path / "token").write_bytes(b"a\nb")
    wanted = settings.Settings(internal_token_file=tmp_path / "token")
    with pytest.raises(errors.SettingsError, match="VECTORFLEET_INTERNAL_TOKEN_FILE"):
        settings.find_credentials(wanted, index)
    with pytest.raises(errors.SettingsError, match="VECTORFLEET_INTERNAL_TLS_DIR"):
        settings.find_credentials(settings.Settings(internal_tls_dir=tmp_path), index)


def test_namespaces_do_not_multiply_metrics(monkeypatch):
    """A hundred have a value of their own; those that come after share one."""
    monkeypatch.setattr(metrics, "_namespaces", set())
    labels = [metrics.label_of(f"n{number}") for number in range(101)]
    assert labels[99:] == ["n99", "__other__"]
    assert metrics.label_of("n5") == "n5"


def test_what_subjects_of_an_issuer_may_ask():
    """Whatever is said of it; nothing said is no bound."""
    said = {"jwt_keys": "keys.json", "jwt_audience": "a"}
    assert settings.find_terms(settings.Settings(**said)).quota is None
    limited = settings.Settings(**said, jwt_requests_per_second=2.5, jwt_requests_per_day=10)
    assert settings.find_terms(limited).quota == grants.Quota(2.5, None, None, 10)


def test_rates_that_are_none_are_refused(monkeypatch):
    """The message names the variable."""
    monkeypatch.setenv("VECTORFLEET_JWT_ROWS_PER_SECOND", "0")
    with pytest.raises(errors.SettingsError, match=r"VECTORFLEET_JWT_ROWS_PER_SECOND: .*greater than 0"):
        settings.read()
