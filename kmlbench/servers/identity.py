# SPDX-License-Identifier: MIT
"""What a server shows to clients that connect by TLS: a certificate of its own, signed by itself.

It is made here, not on the host, for each start of a server, which then need not make one.
"""

from __future__ import annotations

from datetime import UTC, datetime
from ipaddress import ip_address

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from kmlbench.model import Host
from kmlbench.servers import daemon
from kmlbench.workloads.transports import LOOPBACK

FILE = "identity.pem"

# The names by which sysbench 1.0.20 finds the certificate, and one of its own with a key, which it cannot do
# without: it shows the server the server's, which that therefore has to trust.
NAMES = ("cacert.pem", "client-cert.pem", "client-key.pem")

# Whatever a guest's clock says.
BEGIN, END = datetime(2000, 1, 1, tzinfo=UTC), datetime(2100, 1, 1, tzinfo=UTC)

_LINK = 'cd "$1" && file=$2 && shift 2 && for name; do ln -s "$file" "$name"; done'


def options(directory: str) -> tuple[str, ...]:
    """The options of either server for the file that `install` writes."""
    return tuple(f"--ssl-{part}={directory}/{FILE}" for part in ("ca", "cert", "key"))


def install(host: Host, directory: str, owner: str) -> None:
    """Write a new certificate and its key into the server's directory. Raises TrialError."""
    daemon.write(host, f"{directory}/{FILE}", owner=owner, text=new_identity())
    daemon.require(host.run(["sh", "-c", _LINK, "sh", directory, FILE, *NAMES], timeout_s=daemon.COMMAND_S))


def new_identity() -> str:
    """A certificate for the loopback interface, and its private key, as PEM."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "kmlbench")])
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(BEGIN)
        .not_valid_after(END)
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ip_address(LOOPBACK))]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .sign(key, hashes.SHA256())
    )
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    return (certificate.public_bytes(serialization.Encoding.PEM) + private).decode()
