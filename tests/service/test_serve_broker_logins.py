"""Brokers behind TLS that want a password: it comes from a file, and is in no log."""

import logging
import shutil
import subprocess
from pathlib import Path

import pytest
from broker_samples import Broker, service_with
from serve_samples import plaza_boxes, running, wait_for

from geoloc.errors import InputError
from geoloc.service.serve.bridges.options import BridgeOptions, MqttOptions, NatsOptions, login
from geoloc.service.serve.bridges.senders import MqttSender, NatsSender

PASSWORD = "pass-word-0123456789"


@pytest.fixture(scope="module")
def secrets(tmp_path_factory) -> Path:
    """A certificate of this machine, its key, and logins, a right one and a wrong one."""
    openssl = shutil.which("openssl")
    if openssl is None:
        pytest.skip("no openssl; apt-get install openssl")
    folder = tmp_path_factory.mktemp("secrets")
    words = ["req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=localhost"]
    words += ["-addext", "subjectAltName=IP:127.0.0.1,DNS:localhost"]
    files = ["-keyout", str(folder / "key.pem"), "-out", str(folder / "cert.pem")]
    subprocess.run([openssl, *words, *files], check=True, capture_output=True)
    (folder / "login").write_text(f"gate\n{PASSWORD}\n")
    (folder / "wrong").write_text("gate\nanother password\n")
    return folder


def secured(program: str, secrets: Path, folder: Path) -> Broker:
    cert, key = str(secrets / "cert.pem"), str(secrets / "key.pem")
    if program == "nats-server":
        login_words = ["--user", "gate", "--pass", PASSWORD]
        return Broker(program, folder, ["--tls", "--tlscert", cert, "--tlskey", key, *login_words])
    tool = shutil.which("mosquitto_passwd")
    if tool is None:
        pytest.skip("no mosquitto_passwd; apt-get install mosquitto")
    folder.mkdir()
    subprocess.run([tool, "-b", "-c", str(folder / "users"), "gate", PASSWORD], check=True, capture_output=True)
    lines = [f"certfile {cert}", f"keyfile {key}", "allow_anonymous false", f"password_file {folder}/users"]
    return Broker(program, folder, lines=lines)


@pytest.mark.parametrize("program", ["mosquitto", "nats-server"])
def test_boxes_come_over_tls_with_a_password_and_not_with_another_one(program, secrets, tmp_path, caplog):
    caplog.set_level(logging.DEBUG)
    with secured(program, secrets, tmp_path / "broker") as broker:
        given = {"login_file": str(secrets / "login"), "ca_file": str(secrets / "cert.pem")}
        if program == "mosquitto":
            to = MqttOptions(url=broker.url.replace("mqtt:", "mqtts:"), **given)
            bridges, make = BridgeOptions(mqtt=to), MqttSender
            wrong = MqttOptions(url=to.url, ca_file=to.ca_file, login_file=str(secrets / "wrong"))
        else:
            other = NatsOptions(url=broker.url.replace("nats:", "tls:"), **given)
            bridges, make = BridgeOptions(nats=other), NatsSender
            wrong = NatsOptions(url=other.url, ca_file=other.ca_file, login_file=str(secrets / "wrong"))
        service = service_with(tmp_path / "state", bridges)
        with running(tmp_path / "state", service=service) as live:
            with make(bridges.mqtt if program == "mosquitto" else bridges.nats, "plaza") as sender:
                sender.send(plaza_boxes(0.3))
            wait_for(lambda: live.engine.figures.rows == len(plaza_boxes(0.3)))
        with pytest.raises(InputError), make(wrong, "plaza", 2.5) as sender:
            sender.send(plaza_boxes(0.3))
    assert PASSWORD not in caplog.text


def test_a_login_comes_from_a_file_or_the_environment(tmp_path, monkeypatch):
    monkeypatch.setenv("GEOLOC_MQTT_USER", "me")
    monkeypatch.setenv("GEOLOC_MQTT_PASSWORD", "secret")
    assert login("", "GEOLOC_MQTT") == ("me", "secret")
    (tmp_path / "login").write_text("one line")
    with pytest.raises(InputError, match="two lines") as said:
        login(str(tmp_path / "login"), "GEOLOC_MQTT")
    assert "one line" not in str(said.value)
