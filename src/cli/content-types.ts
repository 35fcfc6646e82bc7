/** Types of content by the ends of names (IANA's registry), for what people keep in directories. */
const TEXT = '; charset=utf-8'

const TYPES: ReadonlyMap<string, string> = new Map([
  ['html', `text/html${TEXT}`],
  ['htm', `text/html${TEXT}`],
  ['css', `text/css${TEXT}`],
  ['js', `text/javascript${TEXT}`],
  ['mjs', `text/javascript${TEXT}`],
  ['txt', `text/plain${TEXT}`],
  ['log', `text/plain${TEXT}`],
  ['md', `text/markdown${TEXT}`],
  ['csv', `text/csv${TEXT}`],
  ['ts', `text/plain${TEXT}`],
  ['c', `text/plain${TEXT}`],
  ['h', `text/plain${TEXT}`],
  ['sh', `text/plain${TEXT}`],
  ['py', `text/plain${TEXT}`],
  ['xml', 'application/xml'],
  ['json', 'application/json'],
  ['map', 'application/json'],
  ['webmanifest', 'application/manifest+json'],
  ['wasm', 'application/wasm'],
  ['pdf', 'application/pdf'],
  ['zip', 'application/zip'],
  ['gz', 'application/gzip'],
  ['tgz', 'application/gzip'],
  ['tar', 'application/x-tar'],
  ['svg', 'image/svg+xml'],
  ['png', 'image/png'],
  ['jpg', 'image/jpeg'],
  ['jpeg', 'image/jpeg'],
  ['gif', 'image/gif'],
  ['webp', 'image/webp'],
  ['avif', 'image/avif'],
  ['ico', 'image/vnd.microsoft.icon'],
  ['bmp', 'image/bmp'],
  ['mp3', 'audio/mpeg'],
  ['ogg', 'audio/ogg'],
  ['wav', 'audio/wav'],
  ['mp4', 'video/mp4'],
  ['webm', 'video/webm'],
  ['woff', 'font/woff'],
  ['woff2', 'font/woff2'],
  ['ttf', 'font/ttf'],
  ['otf', 'font/otf'],
])

/** Of a name or a path. */
export function contentType(name: string): string {
  const at = name.lastIndexOf('.')
  return (at < 0 ? undefined : TYPES.get(name.slice(at + 1).toLowerCase())) ?? 'application/octet-stream'
}
