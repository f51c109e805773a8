// Checksums of what was unpacked: the unpacking library does not compare them.
import { strFromU8 } from "../vendor/fflate/fflate.js";

const LISTED = 0x02014b50, END = 0x06054b50; // APPNOTE.TXT, 4.3.12 and 4.3.16

const TABLE = Uint32Array.from({ length: 256 }, (_, byte) => {
  for (let bit = 0; bit < 8; bit++) byte = byte & 1 ? (byte >>> 1) ^ 0xedb88320 : byte >>> 1;
  return byte;
});

/** CRC-32 of bytes; ISO 3309. */
export function sum(bytes) {
  let crc = -1;
  for (let i = 0; i < bytes.length; i++) crc = TABLE[(crc ^ bytes[i]) & 255] ^ (crc >>> 8);
  return ~crc >>> 0;
}

const view = (bytes) => new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);

/** Where a gzip member ends: behind the checksum and the length of what it was unpacked to (RFC 1952, 2.3); -1 without. */
export function findEnd(packed, unpacked) {
  const at = view(packed), wanted = sum(unpacked), length = unpacked.length >>> 0;
  for (let i = packed.length - 8; i >= 0; i--)
    if (at.getUint32(i, true) === wanted && at.getUint32(i + 4, true) === length) return i + 8;
  return -1;
}

/** Name -> checksum of the members that a zip archive lists; the last of those with one name counts. */
export function listSums(archive) {
  const at = view(archive), sums = new Map();
  let end = archive.length - 22;
  while (end >= 0 && at.getUint32(end, true) !== END) end--;
  if (end < 0) return sums;
  let place = at.getUint32(end + 16, true);
  for (let left = at.getUint16(end + 10, true); left && place + 46 <= end && at.getUint32(place, true) === LISTED; left--) {
    const [name, extra, comment] = [28, 30, 32].map((offset) => at.getUint16(place + offset, true));
    const latin = !(at.getUint16(place + 8, true) & 2048);
    sums.set(strFromU8(archive.subarray(place + 46, place + 46 + name), latin), at.getUint32(place + 16, true));
    place += 46 + name + extra + comment;
  }
  return sums;
}
