"""OpenPGP's ASCII armour, taken off (RFC 4880, section 6): gpgv reads bare keyrings only."""

from __future__ import annotations

import base64
import binascii
import re

from minios_steps.core.errors import SourceError

_BLOCK = re.compile(
    r"-----BEGIN (PGP [A-Z ]+)-----\n(?:[^\n:]+: [^\n]*\n)*\s*\n([A-Za-z0-9+/=\n]+)-----END \1-----"
)
_CRC_START = 0xB704CE
_CRC_POLYNOMIAL = 0x1864CFB
_CRC_LENGTH = 4
_BYTE = 8
_TOP_BIT = 1 << 24


def dearmor(data: bytes) -> bytes:
    """The packets in a key or signature file, armoured or not.

    Raises:
        SourceError: it is armoured, and damaged.
    """
    if b"-----BEGIN PGP " not in data:
        return data
    match = _BLOCK.search(data.decode("latin-1").replace("\r\n", "\n"))
    if not match:
        raise SourceError("its ASCII armour is damaged")
    lines = match[2].split()
    checksum = lines.pop()[1:] if lines[-1].startswith("=") else ""
    try:
        packets = base64.b64decode("".join(lines), validate=True)
        told = base64.b64decode(checksum, validate=True)
    except binascii.Error as error:
        raise SourceError("its ASCII armour is damaged: not base64") from error
    if checksum and (len(checksum) != _CRC_LENGTH or int.from_bytes(told, "big") != _crc24(packets)):
        raise SourceError("its ASCII armour is damaged: wrong checksum")
    return packets


def _crc24(data: bytes) -> int:
    crc = _CRC_START
    for byte in data:
        crc ^= byte << 16
        for _ in range(_BYTE):
            crc <<= 1
            if crc & _TOP_BIT:
                crc ^= _CRC_POLYNOMIAL
    return crc
