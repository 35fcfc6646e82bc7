import { describe, expect, it } from 'vitest'
import { DIFFERENCES } from './differences.ts'
import { type Ended, flagsOf, judge, mayFail, usesImport } from './judge.ts'
import { moduleOf } from './modules.ts'

const FILE = 'test-net-a.js'

function ended(given: Partial<Ended> = {}): Ended {
  return { status: 0, signal: null, timedOut: false, stdout: '', stderr: '', used: ['net'], ...given }
}

describe('what a file of Node needs', () => {
  it('is about a module by its name', () => {
    expect(moduleOf('test-net-connect.js')).toBe('net')
    expect(moduleOf('test-http2-compat-socket.js')).toBe('http2')
    expect(moduleOf('test-dns.js')).toBe('dns')
    expect(moduleOf('test-dgram-async-dispose.mjs')).toBe('dgram')
    expect(moduleOf('test-network.js')).toBeNull()
    expect(moduleOf('test-net-connect.json')).toBeNull()
  })

  it('says its flags', () => {
    expect(flagsOf("// Flags: --expose-gc --no-warnings\n'use strict'\n// Flags: --trace-gc")).toEqual([
      '--expose-gc',
      '--no-warnings',
      '--trace-gc',
    ])
    expect(flagsOf("'use strict'")).toEqual([])
  })

  it('imports or requires', () => {
    expect(usesImport('test-net-a.mjs', '')).toBe(true)
    expect(usesImport('test-net-a.js', "import('net')")).toBe(true)
    expect(usesImport('test-net-a.js', "require('net')")).toBe(false)
  })

  it('may fail where it needs the host', () => {
    expect(mayFail('server.listen(common.PIPE)')).toMatch(/UNIX/)
    expect(mayFail("const cluster = require('cluster')")).toMatch(/cluster/)
    expect(mayFail("const { TCP } = internalBinding('tcp_wrap')")).toMatch(/handles/)
    expect(mayFail("const { UV_EINVAL } = internalBinding('uv')")).toBeNull()
    expect(mayFail("const net = require('net')")).toBeNull()
  })
})

describe('what its process came to', () => {
  it('passed, with our modules', () => {
    expect(judge(FILE, '', ended(), false)).toEqual({ verdict: 'pass', reason: '' })
  })

  it('has proven nothing without them, except where Node has its own', () => {
    const text = "const net = require('net')"
    expect(judge(FILE, text, ended({ used: [] }), false)).toEqual({ verdict: 'fail', reason: 'none of our modules was used' })
    expect(judge(FILE, text, ended({ used: [] }), true).verdict).toBe('pass')
    for (const one of ["import { connect } from 'node:net'", "require('dns/promises')", "import('node:http2')"]) {
      expect(judge(FILE, one, ended({ used: [] }), false).verdict).toBe('fail')
    }
    expect(judge(FILE, "require('fs')", ended({ used: [] }), false)).toEqual({
      verdict: 'skip',
      reason: 'asks for none of the modules',
    })
  })

  it('met a refusal that is on purpose', () => {
    const stderr = 'NetError: a socket path (/tmp/x) is not supported by a stack: use node:net for it\n    at x'
    expect(judge(FILE, '', ended({ status: 1, stderr }), false)).toEqual({
      verdict: 'skip',
      reason: 'NetError: a socket path (/tmp/x) is not supported by a stack',
    })
  })

  it('failed for what it needs: skipped; if it passed it passed', () => {
    const text = 'server.listen(common.PIPE)'
    expect(judge(FILE, text, ended({ status: 1, stderr: 'Error: x' }), false)).toEqual({
      verdict: 'skip',
      reason: 'UNIX sockets and pipes belong to the host: Error: x',
    })
    expect(judge(FILE, text, ended(), false).verdict).toBe('pass')
    expect(judge(FILE, text, ended({ status: 1 }), true).verdict).toBe('fail')
  })

  it('skipped itself', () => {
    const outcome = judge(FILE, '', ended({ stdout: '1..0 # Skipped: no IPv6\n', used: [] }), false)
    expect(outcome).toEqual({ verdict: 'skip', reason: 'no IPv6' })
  })

  it('failed, with the line that says why', () => {
    const stderr = 'node:assert:126\n  throw new AssertionError(obj);\n\nAssertionError [ERR_ASSERTION]: 1 == 2\n    at x'
    expect(judge(FILE, '', ended({ status: 1, stderr }), false)).toEqual({
      verdict: 'fail',
      reason: 'AssertionError [ERR_ASSERTION]: 1 == 2',
    })
    const stdout = 'Mismatched <anonymous> function calls. Expected exactly 1, actual 0.\n    at x'
    expect(judge(FILE, '', ended({ status: 1, stdout }), false).reason).toMatch(/^Mismatched/)
    expect(judge(FILE, '', ended({ status: 1 }), false).reason).toBe('status 1')
  })

  it('did not end, or was ended', () => {
    expect(judge(FILE, '', ended({ status: null, signal: 'SIGKILL', timedOut: true }), false).reason).toMatch(/still running/)
    expect(judge(FILE, '', ended({ status: null, signal: 'SIGSEGV' }), false).reason).toMatch(/SIGSEGV/)
  })

  it('is known to be different: skipped, if it fails', () => {
    const [[file, reason]] = Object.entries(DIFFERENCES)
    expect(judge(file, '', ended({ status: 1 }), false)).toEqual({ verdict: 'skip', reason: `different: ${reason}` })
    expect(judge(file, '', ended(), false).verdict).toBe('pass')
    expect(judge(file, '', ended({ status: 1 }), true).verdict).toBe('fail')
  })

  it('looked below Node and failed: skipped for it, but passed if it passed', () => {
    const text = 'assert(socket._handle)'
    expect(judge(FILE, text, ended({ status: 1, stderr: 'Error: x' }), false)).toEqual({
      verdict: 'skip',
      reason: "looks into libuv's handles: Error: x",
    })
    expect(judge(FILE, text, ended({ status: 1 }), true).verdict).toBe('fail')
    expect(judge(FILE, text, ended(), false).verdict).toBe('pass')
  })
})
