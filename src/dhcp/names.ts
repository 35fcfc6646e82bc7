/**
 * Names in the form of DNS inside of options (RFC 1035 section 3.1, 4.1.4), for the domain search list (RFC 3397) and the client's name
 * (RFC 4702); DHCPv6 has the same without pointers (RFC 8415 section 10). Pointers lead backwards only and a name has 255 bytes at most: no
 * input makes this loop or grow.
 */

const MAX_NAME = 255
const MAX_LABEL = 63

/** The names in `bytes`, without a final dot; null when they are not well formed. */
export function readNames(bytes: Uint8Array, pointers = true): string[] | null {
  const names: string[] = []
  let at = 0
  while (at < bytes.length) {
    const labels: string[] = []
    let from = at
    let next = -1
    let total = 0
    for (;;) {
      if (from >= bytes.length) return null
      const length = bytes[from]
      if (length >= 0xc0) {
        if (!pointers || from + 1 >= bytes.length) return null
        const target = ((length & 0x3f) << 8) | bytes[from + 1]
        if (next < 0) next = from + 2
        if (target >= from) return null
        from = target
        // Two bytes for each step back keep a chain of pointers as short as a name.
        total += 2
      } else if (length > MAX_LABEL) return null
      else if (length === 0) {
        if (next < 0) next = from + 1
        break
      } else {
        if (from + 1 + length > bytes.length) return null
        const label = labelText(bytes, from + 1, length)
        if (label === null) return null
        labels.push(label)
        total += length + 1
        from += length + 1
      }
      if (total > MAX_NAME) return null
    }
    if (labels.length > 0) names.push(labels.join('.'))
    at = next
  }
  return names
}

/** A label that may be shown and written to files: printable ASCII without blanks and dots. */
function labelText(bytes: Uint8Array, at: number, length: number): string | null {
  let text = ''
  for (let i = at; i < at + length; i++) {
    const c = bytes[i]
    if (c <= 0x20 || c >= 0x7f || c === 0x2e) return null
    text += String.fromCharCode(c)
  }
  return text
}

/** Names as `readNames` reads them, endings that were there already as pointers if `pointers`. Null: one is no name. */
export function writeNames(names: readonly string[], pointers = true): Uint8Array | null {
  const out: number[] = []
  const known = new Map<string, number>()
  for (const name of names) {
    const labels = name.replace(/\.$/, '').split('.')
    if (name.length > MAX_NAME - 2 || labels.some((l) => l.length === 0 || l.length > MAX_LABEL || !/^[!-~]+$/.test(l)))
      return null
    let i = 0
    for (; i < labels.length; i++) {
      const rest = labels.slice(i).join('.').toLowerCase()
      const target = known.get(rest)
      if (target !== undefined) {
        out.push(0xc0 | (target >> 8), target & 0xff)
        break
      }
      if (pointers && out.length < 0x4000) known.set(rest, out.length)
      out.push(labels[i].length)
      for (const c of labels[i]) out.push(c.charCodeAt(0))
    }
    if (i === labels.length) out.push(0)
  }
  return Uint8Array.from(out)
}
