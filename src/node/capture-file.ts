/**
 * `capture(link, 'web.pcapng')`: captures into files. Bytes are written synchronously in large pieces, and at least once a second,
 * so that `tshark -r` on a running capture sees what happened; what is left is written when the link closes or the process exits.
 */
import { closeSync, openSync, writeSync } from 'node:fs'
import { NetError } from '../base/errors.ts'
import { type CaptureOptions, capture as captureTo } from '../link/capture.ts'
import type { NetIf } from '../netif/netif.ts'
import { type ByteTarget, PcapngWriter } from '../trace/pcapng.ts'

const FLUSH_MS = 1000

class FileTarget implements ByteTarget {
  private readonly fd: number
  private isOpen = true
  private writer: PcapngWriter | null = null
  private readonly interval: NodeJS.Timeout
  private readonly atExit = (): void => this.writer?.end()

  constructor(private readonly path: string) {
    try {
      this.fd = openSync(path, 'w')
    } catch (cause) {
      const code = (cause as NodeJS.ErrnoException).code ?? 'EIO'
      const message = `cannot write the capture ${path}: ${(cause as Error).message}`
      throw new NetError(code, { syscall: 'open', message, cause })
    }
    this.interval = setInterval(() => this.writer?.flush(), FLUSH_MS).unref()
    process.once('exit', this.atExit)
  }

  /** Called once, when the writer exists. */
  serve(writer: PcapngWriter): void {
    this.writer = writer
  }

  write(bytes: Uint8Array): void {
    if (!this.isOpen) return
    try {
      for (let off = 0; off < bytes.length; ) off += writeSync(this.fd, bytes, off)
    } catch (error) {
      // A full disk must not take the network down with it: the capture ends here, and says so once.
      this.release()
      process.emitWarning(`capture ${this.path} ended: ${(error as Error).message}`, 'CaptureWarning')
    }
  }

  end(): void {
    this.release()
  }

  private release(): void {
    if (!this.isOpen) return
    this.isOpen = false
    clearInterval(this.interval)
    process.removeListener('exit', this.atExit)
    closeSync(this.fd)
  }
}

/**
 * Opens a capture file that several links may share: give the result to `capture` for each, and call `end()` when all are closed.
 * Throws with the code of open(2) (`EACCES`, `ENOENT`, ...).
 */
export function openCapture(path: string): PcapngWriter {
  const target = new FileTarget(path)
  const writer = new PcapngWriter(target, `tapstack (Node ${process.version})`)
  target.serve(writer)
  return writer
}

/**
 * Captures a link as pcapng. `target`: a file name (created or overwritten, closed with the link), a writer of `openCapture` that
 * several links share, or any object with `write(bytes)`.
 */
export function capture(link: NetIf, target: string | ByteTarget | PcapngWriter, options: CaptureOptions = {}): NetIf {
  if (typeof target !== 'string') return captureTo(link, target, options)
  return captureTo(link, openCapture(target), { ...options, end: true })
}
