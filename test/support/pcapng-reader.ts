/** A strict reader of pcapng, for tests: it throws on any block whose lengths or padding are wrong. */
export interface Block {
  type: number
  body: DataView
  /** Options by code, in order of appearance. */
  options: Map<number, Uint8Array[]>
}

export interface ReadPacket {
  id: number
  timeNs: bigint
  bytes: Uint8Array
  flags: number
  comment: string | null
}

export interface ReadCapture {
  application: string
  interfaces: { linkType: number; name: string; description: string | null; mac: Uint8Array | null; resolution: number }[]
  packets: ReadPacket[]
  statistics: { id: number; startNs: bigint; endNs: bigint; received: bigint }[]
}

function time(view: DataView, at: number): bigint {
  return (BigInt(view.getUint32(at, true)) << 32n) | BigInt(view.getUint32(at + 4, true))
}

function blocksOf(bytes: Uint8Array): { type: number; body: Uint8Array }[] {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length)
  const out = []
  for (let at = 0; at < bytes.length; ) {
    const length = view.getUint32(at + 4, true)
    if (length < 12 || length % 4 !== 0 || at + length > bytes.length) throw new Error(`bad block length ${length} at ${at}`)
    if (view.getUint32(at + length - 4, true) !== length) throw new Error(`lengths of the block at ${at} differ`)
    out.push({ type: view.getUint32(at, true), body: bytes.slice(at + 8, at + length - 4) })
    at += length
  }
  return out
}

function optionsOf(bytes: Uint8Array): Map<number, Uint8Array[]> {
  const out = new Map<number, Uint8Array[]>()
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length)
  let at = 0
  while (at < bytes.length) {
    const code = view.getUint16(at, true)
    const length = view.getUint16(at + 2, true)
    if (code === 0) {
      if (length !== 0 || at + 4 !== bytes.length) throw new Error('bad end of options')
      return out
    }
    const value = bytes.slice(at + 4, at + 4 + length)
    const padded = (length + 3) & ~3
    if (bytes.slice(at + 4 + length, at + 4 + padded).some((b) => b !== 0)) throw new Error('padding is not zero')
    out.set(code, [...(out.get(code) ?? []), value])
    at += 4 + padded
  }
  if (bytes.length > 0) throw new Error('options without an end')
  return out
}

export function readPcapng(file: Uint8Array): ReadCapture {
  const bytes = new Uint8Array(file) // a Buffer's slice is no copy
  const out: ReadCapture = { application: '', interfaces: [], packets: [], statistics: [] }
  const text = (b: Uint8Array | undefined): string | null => (b === undefined ? null : new TextDecoder().decode(b))
  blocksOf(bytes).forEach(({ type, body }, i) => {
    const view = new DataView(body.buffer)
    const option = (map: Map<number, Uint8Array[]>, code: number): Uint8Array | undefined => map.get(code)?.[0]
    if ((type === 0x0a0d0d0a) !== (i === 0)) throw new Error('the section header is not the first block')
    if (type === 0x0a0d0d0a) {
      if (view.getUint32(0, true) !== 0x1a2b3c4d || view.getUint16(4, true) !== 1) throw new Error('bad section header')
      out.application = text(option(optionsOf(body.slice(16)), 4)) ?? ''
    } else if (type === 1) {
      const o = optionsOf(body.slice(8))
      out.interfaces.push({
        linkType: view.getUint16(0, true),
        name: text(option(o, 2)) ?? '',
        description: text(option(o, 3)),
        mac: option(o, 6) ?? null,
        resolution: option(o, 9)?.[0] ?? 6,
      })
    } else if (type === 6) {
      const captured = view.getUint32(12, true)
      const id = view.getUint32(0, true)
      if (captured !== view.getUint32(16, true) || id >= out.interfaces.length) throw new Error('bad packet block')
      const o = optionsOf(body.slice(20 + ((captured + 3) & ~3)))
      const flags = option(o, 2)!
      out.packets.push({
        id,
        timeNs: time(view, 4),
        bytes: body.slice(20, 20 + captured),
        flags: new DataView(flags.buffer).getUint32(0, true),
        comment: text(option(o, 1)),
      })
    } else if (type === 5) {
      const o = optionsOf(body.slice(12))
      const stamp = (code: number): bigint => time(new DataView(option(o, code)!.buffer), 0)
      const received = new DataView(option(o, 4)!.buffer).getBigUint64(0, true)
      out.statistics.push({ id: view.getUint32(0, true), startNs: stamp(2), endNs: stamp(3), received })
    } else throw new Error(`unknown block ${type}`)
  })
  return out
}
