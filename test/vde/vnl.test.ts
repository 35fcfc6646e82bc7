import { describe, expect, it } from 'vitest'
import { splitBrackets, vnlNumber, vnlOptions } from '../../src/vde/vnl.ts'

const KNOWN = ['port', 'vni', 'ttl', 'v4', 'v6', 'expiretime']
const read = (text: string, lone?: string) => Object.fromEntries(vnlOptions(text, KNOWN, 'x://y', lone))

describe("options in a network's name", () => {
  it('are separated by slashes, shortened as vdeplug takes them, and may be bare', () => {
    expect(read('ttl=2/vni=7/v6')).toEqual({ ttl: '2', vni: '7', v6: '' })
    expect(read('exp=9//po=1')).toEqual({ expiretime: '9', port: '1' })
    expect(read('v=3')).toEqual({ vni: '3' }) // the first that begins so
    expect(read('')).toEqual({})
    expect(read('v6=')).toEqual({ v6: '' })
  })

  it('may begin with a word that stands alone, in brackets', () => {
    expect(splitBrackets('/run/vde.ctl[3]')).toEqual({ path: '/run/vde.ctl', options: '3' })
    expect(splitBrackets('/run/vde.ctl')).toEqual({ path: '/run/vde.ctl', options: '' })
    expect(read('3', 'port')).toEqual({ port: '3' })
    expect(read('lab/ttl=1', 'port')).toEqual({ port: 'lab', ttl: '1' })
  })

  it('are refused when nobody knows them', () => {
    expect(() => read('hops=2')).toThrow(/Unknown option hops in x:\/\/y.*port, vni/)
    expect(() => read('lab')).toThrow(/Unknown option lab/)
    expect(() => read('=2')).toThrow(/Unknown option/)
  })

  it('are whole numbers within bounds', () => {
    const options = new Map([
      ['ttl', '300'],
      ['vni', '0x2'],
      ['port', '14789'],
    ])
    expect(vnlNumber(options, 'port', 1, 65535, 'x')).toBe(14789)
    expect(vnlNumber(options, 'none', 1, 2, 'x')).toBeUndefined()
    expect(() => vnlNumber(options, 'ttl', 0, 255, 'x')).toThrow(/ttl=300 in x: a whole number from 0 to 255/)
    expect(() => vnlNumber(options, 'vni', 0, 255, 'x')).toThrow(/vni=0x2/)
  })
})
