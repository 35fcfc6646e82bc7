/** What tests attach to a link: a sink that remembers everything and complains about every call that the contract forbids. */
import { expect } from 'vitest'
import { equalBytes } from '../../src/base/bytes.ts'
import type { Host } from '../../src/base/clock.ts'
import { HEADROOM, type NetIfSink } from '../../src/netif/netif.ts'

/** A sink that keeps copies and takes note of every call that the contract forbids. */
export class RecordingSink implements NetIfSink {
  readonly frames: Uint8Array[] = []
  readonly metas: number[] = []
  readonly complaints: string[] = []
  readables = 0
  writables = 0
  closes = 0
  /** `readable()` was called and `receive` has not answered false since. */
  ready = false
  /** Overwrite each frame and its headroom after it was copied. */
  scribble = false
  /** Set while `receive` runs. */
  receiving = false
  /** No call at all is allowed any more. */
  silent = false
  /** Called with each frame, lent. */
  onFrame: ((buf: Uint8Array, start: number, end: number, meta: number) => void) | null = null
  private inside = false

  constructor(
    readonly host: Host,
    /** Frames that the test did not send (a kernel's own chatter) are left out. */
    private readonly isOurs: (frame: Uint8Array) => boolean = () => true,
  ) {}

  input(buf: Uint8Array, start: number, end: number, meta: number): void {
    this.note(!this.receiving, 'input outside of receive')
    this.note(this.inside, 'input within input')
    this.note(start < HEADROOM, `start ${start} leaves no headroom`)
    this.note(!(start < end && end <= buf.length), `range ${start}..${end} of ${buf.length}`)
    this.note(this.silent, 'input after close')
    const frame = buf.slice(start, end)
    if (this.isOurs(frame)) {
      this.frames.push(frame)
      this.metas.push(meta)
      this.inside = true
      this.onFrame?.(buf, start, end, meta)
      this.inside = false
    }
    if (this.scribble) buf.fill(0xee, start - HEADROOM, end)
  }

  readable(): void {
    this.note(this.silent, 'readable after close')
    this.readables++
    this.ready = true
  }

  writable(): void {
    this.note(this.silent, 'writable after close')
    this.writables++
  }

  closed(): void {
    this.note(this.silent, 'closed after close')
    this.closes++
  }

  private note(wrong: boolean, what: string): void {
    if (wrong) this.complaints.push(what)
  }
}

/** Equality of frames; the slow comparison, with its words, only for those that differ. */
export function expectFrames(got: readonly Uint8Array[], wanted: readonly Uint8Array[]): void {
  expect(got.length, 'number of frames').toBe(wanted.length)
  for (let i = 0; i < got.length; i++) {
    if (got[i].length !== wanted[i].length || !equalBytes(got[i], 0, wanted[i], 0, got[i].length)) {
      expect(got[i], `frame ${i}`).toEqual(wanted[i])
    }
  }
}
