/**
 * Names of the link (RFC 6762 section 3) and of services (RFC 6763 sections 4 and 7). An instance of a service has any text of 1 to 63 bytes of UTF-8 as
 * its first label; here that text is as people write it, and a whole name is escaped as dns/names.ts has it.
 */
import { invalidArgument } from '../base/errors.ts'
import { utf8Bytes, utf8Text } from '../base/utf8.ts'
import { canonicalName, isWithin, labelsOf, labelText, MAX_LABEL, parentOf } from '../dns/names.ts'

/** What is asked for to learn which types there are (RFC 6763 section 9). */
export const TYPE_ENUMERATION = '_services._dns-sd._udp.local'

/** RFC 6335 section 5.1: 1 to 15 letters, digits and hyphens, none at the ends or two together; at least one letter. */
const SERVICE = /^_(?!-)(?=[^.]*[a-z])(?!.*--)[a-z\d-]{1,15}(?<!-)\._(tcp|udp)$/i

/** Names below which multicast DNS is asked: `.local`, and addresses of a link (RFC 6762 sections 3 and 4). Canonical. */
const ZONES = ['local', '254.169.in-addr.arpa', '8.e.f.ip6.arpa', '9.e.f.ip6.arpa', 'a.e.f.ip6.arpa', 'b.e.f.ip6.arpa']

export function isOfLink(name: string): boolean {
  return ZONES.some((zone) => isWithin(name, zone))
}

/** `_http._tcp`, whatever of `.local` and dots is behind it. Throws ERR_INVALID_ARG_VALUE. */
export function serviceType(text: string): string {
  const type = text.replace(/\.$/, '').replace(/\.local$/i, '')
  if (!SERVICE.test(type)) throw invalidArgument(`${text} is no type of service: _http._tcp or the like is expected`)
  return type
}

/** The label of a text, escaped. Throws ERR_INVALID_ARG_VALUE: longer than 63 bytes of UTF-8, empty, or with control characters (RFC 6763 section 4.1.1). */
export function labelFor(text: string): string {
  const bytes = utf8Bytes(text)
  if (bytes.length === 0 || bytes.length > MAX_LABEL || bytes.some((b) => b < 32 || b === 127))
    throw invalidArgument(`${JSON.stringify(text)} is no name: 1 to ${MAX_LABEL} bytes without control characters are expected`)
  return labelText(bytes, 0, bytes.length)
}

/** The text of a name's first label. */
export function firstLabel(name: string): string {
  const labels = labelsOf(name)
  return labels === null || labels.length === 0 ? '' : utf8Text(labels[0])
}

/** `My web\032server._http._tcp.local`. Throws ERR_INVALID_ARG_VALUE. */
export function instanceName(text: string, type: string): string {
  return `${labelFor(text)}.${type}.local`
}

/** Of ASCII letters, digits and hyphens, none at the ends (RFC 1123 section 2.1), and what is not ASCII (RFC 6762 section 16). */
const HOST = /^(?!-)(?:[a-z\d_-]|[^\0-\x7f\s\p{Cc}])+(?<!-)$/iu

/** `web` of `web`, `web.local` or `web.local.`. Throws ERR_INVALID_ARG_VALUE for more labels than one, and for what no host can be called. */
export function hostLabel(text: string): string {
  const label = text.replace(/\.$/, '').replace(/\.local$/i, '')
  const escaped = labelFor(label)
  if (parentOf(canonicalName(escaped) ?? '') !== '' || !HOST.test(label))
    throw invalidArgument(`${text} is no host name of the link: web or web.local is expected`)
  return label
}

/** A name of ours is somebody else's (RFC 6762 section 9): `web-2`, `web-3`, ... */
export function nextHost(label: string): string {
  const [, stem, digits] = /^(.*?)(?:-(\d{1,6}))?$/s.exec(label)!
  const tail = `-${Number(digits ?? 1) + 1}`
  return cut(stem, tail) + tail
}

/** The same for an instance (RFC 6763 appendix D): `My web (2)`. */
export function nextInstance(text: string): string {
  const [, stem, digits] = /^(.*?)(?: \((\d{1,6})\))?$/s.exec(text)!
  const tail = ` (${Number(digits ?? 1) + 1})`
  return cut(stem, tail) + tail
}

/** As much of `stem` as leaves room for `tail`; never part of a character. */
function cut(stem: string, tail: string): string {
  const most = MAX_LABEL - tail.length
  const characters = [...stem]
  while (utf8Bytes(characters.join('')).length > most) characters.pop()
  return characters.join('')
}
