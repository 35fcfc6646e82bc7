import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { put32 } from '../../src/base/bytes.ts'
import { DHCP, DHCP_HEADER, DHCP_MAGIC, DHCP_OPT_MESSAGE_TYPE, dhcpMessage, findDhcpOption } from '../../src/dhcp/wire.ts'

function message(options: number[]): Uint8Array {
  const buf = new Uint8Array(DHCP_HEADER + options.length)
  put32(buf, DHCP.magic, DHCP_MAGIC)
  buf.set(options, DHCP_HEADER)
  return buf
}

describe('the DHCP message (RFC 2131 section 2)', () => {
  it('has its fields where the RFC has them', () => {
    expect([DHCP.transactionId, DHCP.clientAddress, DHCP.clientHardware, DHCP.serverName, DHCP.file, DHCP.magic]).toEqual([
      4, 12, 28, 44, 108, 236,
    ])
    expect(dhcpMessage.span).toBe(240)
  })

  it('finds an option behind padding and other options', () => {
    const buf = message([0, 0, 12, 2, 97, 98, 53, 1, 5, 255])
    expect(findDhcpOption(buf, 0, buf.length, DHCP_OPT_MESSAGE_TYPE)).toBe(DHCP_HEADER + 8)
    expect(findDhcpOption(buf, 0, buf.length, 51)).toBe(-1)
  })

  it('does not look behind END, past the end, or without the magic cookie', () => {
    expect(findDhcpOption(message([255, 53, 1, 5]), 0, DHCP_HEADER + 4, 53)).toBe(-1)
    expect(findDhcpOption(message([53, 9, 5]), 0, DHCP_HEADER + 3, 53)).toBe(-1)
    const noCookie = message([53, 1, 5, 255])
    noCookie[DHCP.magic] = 0
    expect(findDhcpOption(noCookie, 0, noCookie.length, 53)).toBe(-1)
  })

  it('never returns a value that does not lie inside the message', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 64 }), fc.integer({ min: 0, max: 255 }), (options, code) => {
        const buf = message([...options])
        const at = findDhcpOption(buf, 0, buf.length, code)
        if (at >= 0) expect(at + buf[at - 1]).toBeLessThanOrEqual(buf.length)
      }),
    )
  })
})
