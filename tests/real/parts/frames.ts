/** What a WebSocket client says, read off the wire. */

/** The texts of the whole frames in a piece; a client's frames are masked and ours are short. */
export function clientTexts(piece: Uint8Array): string[] {
  const texts: string[] = [];
  const view = new DataView(piece.buffer, piece.byteOffset, piece.byteLength);
  for (let at = 0; at + 2 <= piece.length;) {
    const isText = view.getUint8(at) === 0x81;
    const second = view.getUint8(at + 1);
    const isLong = (second & 0x7f) === 126;
    if (second < 0x80 || second === 0xff || (isLong && at + 4 > piece.length)) break;
    const size = isLong ? view.getUint16(at + 2) : second & 0x7f;
    const maskAt = at + (isLong ? 4 : 2);
    const mask = piece.subarray(maskAt, maskAt + 4);
    const payload = piece.slice(maskAt + 4, maskAt + 4 + size);
    if (payload.length < size) break;
    if (isText) {
      texts.push(new TextDecoder().decode(payload.map((byte, i) => byte ^ (mask[i % 4] ?? 0))));
    }
    at = maskAt + 4 + size;
  }
  return texts;
}
