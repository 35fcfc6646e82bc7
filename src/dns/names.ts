/**
 * Domain names as text. On the wire a name is a list of labels of bytes (RFC 1035 section 3.1); as text labels stand between dots, and bytes
 * that would be mistaken are escaped: `\.`, `\032` (RFC 1035 section 5.1). The root is the empty text, and no name ends with a dot: the same that
 * node:dns shows.
 */

/** Of a label, and of a whole name with its lengths and its zero (RFC 1035 section 2.3.4). */
export const MAX_LABEL = 63
export const MAX_NAME = 255

const DOT = 46
const BACKSLASH = 92
/** Printable, and yet with a meaning in master files: `"`, `$`, `(`, `)`, `.`, `;`, `@`, `\`. */
const SPECIAL = new Set([34, 36, 40, 41, DOT, 59, 64, BACKSLASH])

/** The text of a label of `length` bytes at `buf[at]`. */
export function labelText(buf: Uint8Array, at: number, length: number): string {
  let text = ''
  for (let i = at; i < at + length; i++) {
    const byte = buf[i]
    if (SPECIAL.has(byte)) text += `\\${String.fromCharCode(byte)}`
    else if (byte > 32 && byte < 127) text += String.fromCharCode(byte)
    else text += `\\${String(byte).padStart(3, '0')}`
  }
  return text
}

/** The labels of a name, as bytes; null: it is none (an empty label, one of more than 63 bytes, more than 255 in all, not ASCII). A dot may end it. */
export function labelsOf(text: string): Uint8Array[] | null {
  if (text === '' || text === '.') return []
  const labels: Uint8Array[] = []
  const label: number[] = []
  let total = 1
  const finish = (): boolean => {
    if (label.length === 0 || label.length > MAX_LABEL) return false
    total += label.length + 1
    labels.push(Uint8Array.from(label))
    label.length = 0
    return total <= MAX_NAME
  }
  for (let i = 0; i < text.length; i++) {
    let code = text.charCodeAt(i)
    if (code === DOT) {
      if (!finish()) return null
      if (i === text.length - 1) return labels
      continue
    }
    if (code === BACKSLASH) {
      const digits = /^\d{3}/.exec(text.slice(i + 1, i + 4))
      code = digits === null ? text.charCodeAt(i + 1) : Number(digits[0])
      i += digits === null ? 1 : 3
      if (!(code <= 255)) return null // NaN: nothing follows
    } else if (code > 126) return null
    if (label.length >= MAX_LABEL) return null
    label.push(code)
  }
  return finish() ? labels : null
}

/** The same name in one form: lower case (RFC 4343), escapes only where they must be, no dot at the end; null: it is no name. */
export function canonicalName(text: string): string | null {
  const labels = labelsOf(text)
  return labels === null ? null : joinLabels(labels).toLowerCase()
}

export function joinLabels(labels: readonly Uint8Array[]): string {
  return labels.map((l) => labelText(l, 0, l.length)).join('.')
}

/** A name that ends with a dot: nothing is to be appended. */
export function isAbsolute(text: string): boolean {
  return /(?:^|[^\\])(?:\\\\)*\.$/.test(text)
}

/** Whether two names are the same but for the case of their letters. Both as `joinLabels` writes them. */
export function sameName(a: string, b: string): boolean {
  return a === b || a.toLowerCase() === b.toLowerCase()
}

/** Where the first label ends: the text behind its dot, or '' for the last one. */
export function parentOf(name: string): string {
  for (let i = 0; i < name.length; i++) {
    const code = name.charCodeAt(i)
    if (code === BACKSLASH) i++
    else if (code === DOT) return name.slice(i + 1)
  }
  return ''
}

/** Dots between labels: what `ndots` counts. */
export function dotsOf(name: string): number {
  let dots = 0
  for (let i = 0; i < name.length; i++) {
    const code = name.charCodeAt(i)
    if (code === BACKSLASH) i++
    else if (code === DOT) dots++
  }
  return dots
}

/** True when `name` is `zone` or below it. Both in lower case. */
export function isWithin(name: string, zone: string): boolean {
  if (zone === '') return true
  for (let at = name; at !== ''; at = parentOf(at)) if (at === zone) return true
  return false
}
