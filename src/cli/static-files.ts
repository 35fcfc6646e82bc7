/**
 * Files of a directory as answers of HTTP (RFC 9110): ranges, conditions, lists of directories.
 *
 * Theory of operation. The path of a request is taken apart after it was decoded, once; names that could lead out of the directory end it at once. What is left is
 * resolved with all links, and has to be below the directory then, too; that file is opened without following another link, and only what the open file itself
 * says (it is a plain file, its size, its time) is believed. So neither `..` in any spelling, nor a link, nor a pipe that would never end is served.
 *
 * Why this is not the package `send`: that brings ten others, and the package has four dependencies in all.
 */
import { constants } from 'node:fs'
import { type FileHandle, open, readdir, realpath, stat } from 'node:fs/promises'
import type { IncomingMessage, ServerResponse } from 'node:http'
import { join, sep } from 'node:path'
import { pipeline } from 'node:stream/promises'
import { contentType } from './content-types.ts'

export interface FilesOptions {
  /** Names that begin with a dot are served. */
  dotfiles: boolean
  /** A directory without index.html is listed. */
  lists: boolean
}

const INDEX = 'index.html'
/** Names of a directory that are listed at most. */
const MAX_LISTED = 10_000

/** The answer is an error. */
class Refusal extends Error {
  constructor(
    readonly status: number,
    readonly reason: string,
  ) {
    super(reason)
  }
}

export class StaticFiles {
  /** `root` is a real path. */
  constructor(
    private readonly root: string,
    private readonly options: FilesOptions,
  ) {}

  /** Never rejects: what goes wrong is the answer, or the end of the connection. */
  async answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    try {
      response.setHeader('x-content-type-options', 'nosniff')
      if (request.method !== 'GET' && request.method !== 'HEAD') {
        response.setHeader('allow', 'GET, HEAD')
        throw new Refusal(405, 'only GET and HEAD are served')
      }
      const { path, query } = target(request.url ?? '/')
      const names = this.namesOf(path)
      const real = await this.real(names)
      if (!(await isDirectory(real))) {
        if (path.endsWith('/')) throw new Refusal(404, 'there is no such directory')
        await this.file(request, response, real)
      } else if (!path.endsWith('/')) redirect(response, `/${names.map(encodeURIComponent).join('/')}/${query}`)
      else await this.directory(request, response, real, names)
    } catch (error) {
      fail(response, error)
    }
  }

  private namesOf(path: string): string[] {
    let decoded: string
    try {
      decoded = decodeURIComponent(path)
    } catch {
      throw new Refusal(400, 'the path is not well encoded')
    }
    const names = decoded.split('/').filter((name) => name !== '' && name !== '.')
    if (names.some((name) => name === '..' || /[\0]/.test(name) || (sep !== '/' && /[\\:]/.test(name))))
      throw new Refusal(403, 'the path leads out of the directory')
    if (!this.options.dotfiles && names.some((name) => name.startsWith('.'))) throw new Refusal(404, 'there is no such file')
    return names
  }

  /** The real path of what is there, below the root. */
  private async real(names: readonly string[]): Promise<string> {
    const real = await realpath(join(this.root, ...names))
    if (real !== this.root && !real.startsWith(this.root.endsWith(sep) ? this.root : this.root + sep))
      throw new Refusal(403, 'the path leads out of the directory')
    return real
  }

  private async directory(
    request: IncomingMessage,
    response: ServerResponse,
    real: string,
    names: readonly string[],
  ): Promise<void> {
    const index = await this.real([...names, INDEX]).catch((error: unknown) => {
      if (error instanceof Refusal) throw error
      return null
    })
    if (index !== null && !(await isDirectory(index))) return this.file(request, response, index)
    if (!this.options.lists) throw new Refusal(404, 'there is no list of this directory')
    const all = await readdir(real, { withFileTypes: true })
    const shown = all
      .filter(({ name }) => this.options.dotfiles || !name.startsWith('.'))
      .map((entry) => `${entry.name}${entry.isDirectory() ? '/' : ''}`)
      .sort((a, b) => (a < b ? -1 : 1))
    const html = listing(
      `/${names.map((name) => `${name}/`).join('')}`,
      shown.slice(0, MAX_LISTED),
      shown.length,
      names.length > 0,
    )
    const body = Buffer.from(html)
    response.writeHead(200, {
      'content-type': 'text/html; charset=utf-8',
      'content-length': body.length,
      'cache-control': 'no-cache',
    })
    response.end(request.method === 'HEAD' ? undefined : body)
  }

  private async file(request: IncomingMessage, response: ServerResponse, real: string): Promise<void> {
    // A pipe would be waited for for ever, were it opened otherwise.
    const handle = await open(real, constants.O_RDONLY | (constants.O_NOFOLLOW ?? 0) | (constants.O_NONBLOCK ?? 0))
    try {
      const found = await handle.stat()
      if (!found.isFile()) throw new Refusal(404, 'there is no such file')
      await send(request, response, handle, real, found.size, found.mtime)
    } finally {
      await handle.close().catch(() => undefined) // the stream may have
    }
  }
}

/** Path, still encoded, and `?query` of a request's target (RFC 9112 section 3.2: it may be absolute). */
function target(url: string): { path: string; query: string } {
  const local = url.replace(/^[a-z][a-z\d+.-]*:\/\/[^/?#]*/i, '')
  const at = local.indexOf('?')
  const path = at < 0 ? local : local.slice(0, at)
  return { path: path.startsWith('/') ? path : `/${path}`, query: at < 0 ? '' : local.slice(at) }
}

async function isDirectory(path: string): Promise<boolean> {
  return (await stat(path)).isDirectory()
}

/** `to` begins with one slash: it is of this server. */
function redirect(response: ServerResponse, to: string): void {
  response.writeHead(301, { location: to.replace(/^\/+/, '/'), 'content-length': 0 }).end()
}

async function send(
  request: IncomingMessage,
  response: ServerResponse,
  handle: FileHandle,
  name: string,
  size: number,
  changed: Date,
): Promise<void> {
  // HTTP's dates have seconds; the tag has more, and is as strong as a time and a size can be.
  const modified = Math.floor(changed.getTime() / 1000) * 1000
  const etag = `"${Math.floor(changed.getTime()).toString(16)}-${size.toString(16)}"`
  response.setHeader('etag', etag)
  response.setHeader('last-modified', new Date(modified).toUTCString())
  response.setHeader('accept-ranges', 'bytes')
  const judged = judge(request.headers, etag, modified)
  if (judged === 412) throw new Refusal(412, 'the file is another one by now')
  if (judged === 304) {
    response.writeHead(304).end()
    return
  }
  const range =
    request.method === 'GET' && mayBePart(request.headers, etag, modified) ? rangeOf(request.headers.range, size) : null
  if (range === 'unsatisfiable') {
    response.setHeader('content-range', `bytes */${size}`)
    throw new Refusal(416, 'the file has no such bytes')
  }
  const { first, last } = range ?? { first: 0, last: size - 1 }
  response.setHeader('content-type', contentType(name))
  response.setHeader('content-length', last - first + 1)
  if (range !== null) response.setHeader('content-range', `bytes ${first}-${last}/${size}`)
  response.statusCode = range === null ? 200 : 206
  if (request.method === 'HEAD' || last < first) {
    response.end()
    return
  }
  await pipeline(handle.createReadStream({ start: first, end: last, highWaterMark: 256 << 10 }), response)
}

type Headers = IncomingMessage['headers']

/** RFC 9110 section 13.2.2: what conditions make of the answer, in the order in which they are asked. */
function judge(headers: Headers, etag: string, modified: number): 200 | 304 | 412 {
  const match = headers['if-match']
  if (match !== undefined) {
    if (!isOneOf(match, etag, false)) return 412
  } else if (isBefore(headers['if-unmodified-since'], modified)) return 412
  const noneMatch = headers['if-none-match']
  if (noneMatch !== undefined) return isOneOf(noneMatch, etag, true) ? 304 : 200
  const since = dateOf(headers['if-modified-since'])
  return since !== null && modified <= since ? 304 : 200
}

/** RFC 9110 section 8.8.3.2. */
function isOneOf(list: string, etag: string, weakly: boolean): boolean {
  return list.split(',').some((item) => {
    const one = item.trim()
    return one === '*' || (weakly ? one.replace(/^W\//, '') : one) === etag
  })
}

function dateOf(text: string | undefined): number | null {
  const time = text === undefined ? Number.NaN : Date.parse(text)
  return Number.isNaN(time) ? null : time
}

function isBefore(text: string | undefined, modified: number): boolean {
  const date = dateOf(text)
  return date !== null && date < modified
}

/** RFC 9110 section 13.1.5: a part is of use only to who has the rest of the same file. */
function mayBePart(headers: Headers, etag: string, modified: number): boolean {
  const given = headers['if-range']
  if (given === undefined) return true
  const text = Array.isArray(given) ? given[0] : given
  return text.startsWith('"') ? text === etag : !text.startsWith('W/') && dateOf(text) === modified
}

/** One range of bytes; null: none was asked for, or what one need not understand (RFC 9110 section 14.2): several, other units. */
export function rangeOf(header: string | undefined, size: number): { first: number; last: number } | 'unsatisfiable' | null {
  const [, from, to] = /^bytes=(\d{0,15})-(\d{0,15})$/i.exec(header?.replace(/[ \t]/g, '') ?? '') ?? []
  if (from === undefined || (from === '' && to === '')) return null
  if (from === '') return to === '0' || size === 0 ? 'unsatisfiable' : { first: Math.max(0, size - Number(to)), last: size - 1 }
  const first = Number(from)
  const last = to === '' ? size - 1 : Math.min(Number(to), size - 1)
  if (to !== '' && Number(to) < first) return null
  return first >= size ? 'unsatisfiable' : { first, last }
}

const HTML: Record<string, string> = { '&': '&amp;', '<': '&lt;', '>': '&gt;', '"': '&quot;', "'": '&#39;' }
const escaped = (text: string): string => text.replace(/[&<>"']/g, (c) => HTML[c])

function listing(path: string, names: readonly string[], total: number, hasParent: boolean): string {
  // './' because a name may look like the scheme of a URL.
  const link = (name: string): string => {
    const slash = name.endsWith('/') ? '/' : ''
    return `<li><a href="./${encodeURIComponent(slash === '' ? name : name.slice(0, -1))}${slash}">${escaped(name)}</a></li>`
  }
  const parent = hasParent ? '<li><a href="../">../</a></li>\n' : ''
  const more = total > names.length ? `<p>and ${total - names.length} more</p>\n` : ''
  const title = escaped(path)
  return `<!DOCTYPE html>\n<meta charset="utf-8">\n<title>${title}</title>\n<h1>${title}</h1>\n<ul>\n${parent}${names.map(link).join('\n')}\n</ul>\n${more}`
}

const STATUS: Record<string, number> = {
  ENOENT: 404,
  ENOTDIR: 404,
  ELOOP: 404,
  ENAMETOOLONG: 404,
  ENXIO: 404,
  EACCES: 403,
  EPERM: 403,
}

/** An error as an answer, or as the end of the connection when an answer has begun. */
function fail(response: ServerResponse, error: unknown): void {
  if (response.headersSent) {
    response.destroy()
    return
  }
  const status = error instanceof Refusal ? error.status : (STATUS[(error as NodeJS.ErrnoException).code ?? ''] ?? 500)
  const reason = error instanceof Refusal ? error.reason : status === 404 ? 'there is no such file' : 'it cannot be read'
  for (const name of ['etag', 'last-modified', 'content-type', 'content-length']) response.removeHeader(name)
  const body = Buffer.from(`${status}: ${reason}\n`)
  response.writeHead(status, { 'content-type': 'text/plain; charset=utf-8', 'content-length': body.length })
  response.end(response.req.method === 'HEAD' ? undefined : body)
}
