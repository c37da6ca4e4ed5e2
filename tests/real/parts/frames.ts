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

/** All that a WebSocket client says over one connection, from its request on. */
export class ClientStream {
  #bytes = new Uint8Array();
  #isUpgraded = false;

  /** The texts that are whole now that this piece has come. Throws on a frame that is not a whole message. */
  texts(piece: Uint8Array): string[] {
    const bytes = new Uint8Array(this.#bytes.length + piece.length);
    bytes.set(this.#bytes);
    bytes.set(piece, this.#bytes.length);
    this.#bytes = bytes;
    if (!this.#isUpgraded) {
      const end = new TextDecoder("latin1").decode(this.#bytes).indexOf("\r\n\r\n");
      if (end < 0) return [];
      this.#isUpgraded = true;
      this.#bytes = this.#bytes.slice(end + 4);
    }
    const texts: string[] = [];
    for (let size; (size = this.#frameSize()) !== undefined;) {
      const opcode = (this.#bytes[0] ?? 0) & 0x0f;
      const maskAt = size.payloadAt - 4;
      const mask = this.#bytes.slice(maskAt, size.payloadAt);
      const payload = this.#bytes.slice(size.payloadAt, size.end);
      this.#bytes = this.#bytes.slice(size.end);
      if (opcode === 0) throw new Error("Cannot read a message in several frames");
      if (opcode !== 1) continue;
      texts.push(new TextDecoder().decode(payload.map((byte, i) => byte ^ (mask[i % 4] ?? 0))));
    }
    return texts;
  }

  /** Where the payload of the first frame begins and ends; undefined while it is not whole. */
  #frameSize(): { readonly payloadAt: number; readonly end: number } | undefined {
    const view = new DataView(this.#bytes.buffer);
    if (view.byteLength < 2) return undefined;
    const short = view.getUint8(1) & 0x7f;
    const payloadAt = 2 + (short === 126 ? 2 : short === 127 ? 8 : 0) + 4;
    if (view.byteLength < payloadAt) return undefined;
    const size = short === 126
      ? view.getUint16(2)
      : short === 127
      ? Number(view.getBigUint64(2))
      : short;
    const end = payloadAt + size;
    return view.byteLength < end ? undefined : { payloadAt, end };
  }
}
