/**
 * buffer-layout, as the house uses it: each header is declared once; the hot path takes numeric offsets from the declaration
 * (`offsetsOf`), cold paths and tests use `decode`/`encode` on it (a decode costs ~160 ns and an object, a plain read ~10 ns).
 */
import * as layout from 'buffer-layout'

export const { u8, u16be, u24be, u32be, blob, struct, seq } = layout

/** Byte offset of every field of a struct, by name, typed by the names given. */
export function offsetsOf<const Names extends readonly string[]>(
  header: layout.Structure,
  names: Names,
): { readonly [N in Names[number]]: number } {
  const out: Record<string, number> = {}
  for (const name of names) {
    const off = header.offsetOf(name)
    if (off === undefined) throw new Error(`no field ${name} in this header`)
    out[name] = off
  }
  return out as { readonly [N in Names[number]]: number }
}
