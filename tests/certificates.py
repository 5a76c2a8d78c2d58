"""Certificates for tests, made when they are needed: openssl's command signs them itself."""

import ssl
import subprocess
from pathlib import Path


def make(folder: Path, name: str = "cert", *options: str) -> tuple[Path, Path]:
    """A certificate for this machine and its key, as PEM files."""
    cert, key = folder / f"{name}.pem", folder / f"{name}.key"
    command = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256"]
    command += ["-subj", "/CN=127.0.0.1", "-addext", "subjectAltName=IP:127.0.0.1", "-days", "2"]
    command += options or ("-nodes",)
    command += ["-keyout", str(key), "-out", str(cert)]
    subprocess.run(command, check=True, capture_output=True)
    return cert, key


def trusting(cert: Path) -> ssl.SSLContext:
    """What a client takes for true: this certificate."""
    return ssl.create_default_context(cafile=str(cert))
