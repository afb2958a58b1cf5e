"""What keeps a run from the backend's list: causes and cures."""

from __future__ import annotations

from handler.doctor.advice import Advice, allow
from handler.doctor.findings import Check
from handler.doctor.ports import Barrier, TokenFault

BARRIERS = {
    Barrier.NAME: Advice(
        "the host's name does not resolve",
        "check the host in SERVER_URL; in a VPC also its DNS settings and private hosted zones",
    ),
    Barrier.REFUSED: Advice(
        "nothing listens there: the backend is down, or the port is another one",
        "start the backend; check host and port in SERVER_URL",
    ),
    Barrier.SILENCE: Advice(
        "nothing answers in time: a security group, network ACL or route lets nothing through, or "
        "the backend hangs",
        "let the function's security group out to the backend's port, give private subnets a NAT "
        "gateway, let the backend's own firewall in; then check the backend's load",
    ),
    Barrier.BROKEN: Advice(
        "the connection ends in the middle: the backend crashes, or something in between closes it",
        "read the backend's log, and that of the load balancer before it",
    ),
    Barrier.UNTRUSTED: Advice(
        "the certificate is by an authority that the function does not know: a private CA, or "
        "somebody in between",
        "if the CA is yours, put its certificate and the public authorities' into one file of a layer, "
        "and set REQUESTS_CA_BUNDLE to it (/opt/...; AWS's SDK uses it as well); if it is not, do not",
    ),
    Barrier.EXPIRED: Advice(
        "the backend's certificate has expired",
        "renew the certificate on the backend",
    ),
    Barrier.WRONG_NAME: Advice(
        "the certificate is for another name than the one in SERVER_URL",
        "write the certificate's name into SERVER_URL, or give the backend a certificate for its own",
    ),
    Barrier.HANDSHAKE: Advice(
        "no TLS could be agreed on: another protocol or only old versions are spoken on this port",
        "check the port in SERVER_URL; let the backend offer TLS 1.2 or newer",
    ),
    Barrier.BUNDLE: Advice(
        "REQUESTS_CA_BUNDLE names no file that can be read",
        "point REQUESTS_CA_BUNDLE to the CA's and the public authorities' certificates in PEM, in a "
        "layer under /opt",
    ),
}
TOKEN = {
    TokenFault.MISSING: Advice(
        "the parameter does not exist in this account and region",
        "create it as a SecureString, or set CLIENT_TOKEN_PARAMETER to its name",
    ),
    TokenFault.DENIED: Advice(
        "the function's role lacks ssm:GetParameter on it",
        allow("ssm:GetParameter on this parameter"),
    ),
    TokenFault.KEY: Advice(
        "SSM would give it, but its KMS key does not decrypt for the function's role",
        "set the template's TokenKmsKeyArn to the key (that allows kms:Decrypt), see that the key's "
        "own policy lets the account in, and that the key is enabled",
    ),
    TokenFault.NOT_A_TOKEN: Advice(
        "it holds something else than a token",
        "put the client's token, and nothing else, into the parameter: no spaces, no quotes, no JSON",
    ),
    TokenFault.OTHER: Advice(
        "AWS does not give the parameter's value",
        "in a VPC: give the subnets a NAT gateway or an interface endpoint of SSM; else see the error",
    ),
}
REFUSALS = {
    401: (
        Check.TOKEN_ACCEPTED,
        Advice(
            "the token is not this client's, or not any more",
            "put the client's current token into the SSM parameter; the function takes it up by itself",
        ),
    ),
    403: (
        Check.CLIENT_ACTIVE,
        Advice(
            "the client is inactive in the backend",
            "activate the client in the backend",
        ),
    ),
    404: (
        Check.AGENT_KNOWN,
        Advice(
            "the backend knows no such agent of this client: AGENT_ID is wrong, or the token is another "
            "client's",
            "set AGENT_ID (or the event's agent_id) to the agent's id as the backend shows it, or put the "
            "token of the client that has this agent into the SSM parameter",
        ),
    ),
}
