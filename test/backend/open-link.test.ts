import { describe, expect, it } from 'vitest'
import type { LinkChange } from '../../src/backend/dialer.ts'
import { openLink, parseLinkUrl, tapOptions } from '../../src/backend/open-link.ts'

const options = (url: string) => tapOptions(parseLinkUrl(url))

/** What was said, without what was left out. */
const given = (url: string): Record<string, unknown> => JSON.parse(JSON.stringify(options(url)))

describe('link URLs', () => {
  it('carry every option of a tap', () => {
    const url =
      'tap://tap0?host=10.0.0.1/24,fd00::1/64&mtu=1400&queues=1&offload=off&persist=on&owner=alice&group=kvm&up=on&uso=off'
    expect(given(url)).toEqual({
      name: 'tap0',
      host: ['10.0.0.1/24', 'fd00::1/64'],
      mtu: 1400,
      queues: 1,
      offload: false,
      persist: true,
      owner: 'alice',
      group: 'kvm',
      up: true,
      uso: false,
    })
  })

  it('need little', () => {
    expect(given('tap://tap%d')).toEqual({ name: 'tap%d' })
    expect(given('tap://')).toEqual({})
    expect(given('tun:tun5')).toEqual({ name: 'tun5' })
    expect(given('TAP://Lab?persist')).toEqual({ name: 'Lab', persist: true })
    expect(given('tap://tap0?')).toEqual({ name: 'tap0' })
    expect(given('tap://tap0?host=10.0.0.1%2F24')).toEqual({ name: 'tap0', host: ['10.0.0.1/24'] })
  })

  it.each([
    ['tap://tap0?hots=10.0.0.1/24', /Unknown option hots.*host, mtu, offload/],
    ['tap://tap0?mtu=large', /mtu=large.*not a number/],
    ['tap://tap0?mtu=-1', /mtu=-1/],
    ['tap://tap0?offload=maybe', /offload=maybe.*neither on nor off/],
    ['tap://tap0?mtu=1&mtu=2', /mtu is given twice/],
    ['tap://tap0?host=%zz', /percent-encoding/],
    ['tap://tap0/x', /interface name is expected/],
    ['tap://tap0?queues=4', /only 1 is supported/],
    ['tap://a-name-that-is-too-long', /at most 15/],
  ])('refuse %s', async (url, words) => {
    await expect(openLink(url)).rejects.toMatchObject({ code: 'ERR_INVALID_ARG_VALUE', message: expect.stringMatching(words) })
  })

  it.each(['nowhere:///run', 'tap0', '', 'constructor://x', '://'])('know what they do not know: %s', async (url) => {
    await expect(openLink(url)).rejects.toMatchObject({
      code: 'ERR_UNKNOWN_LINK',
      message: expect.stringMatching(/tap:\/\/, tun:\/\//),
    })
  })

  it.each(['tunnel+tcp:', 'qemu:', 'ws:'])('tell of the other end of a stream: %s', async (scheme) => {
    const changes: LinkChange[] = []
    const link = await openLink(`${scheme}//127.0.0.1:0?listen`, { onChange: (change) => changes.push(change) })
    const port = /:(\d+)/.exec(link.describe!().replace(/^\S+/, ''))![1]
    const other = await openLink(`${scheme}//127.0.0.1:${port}`)
    while (changes.length === 0) await new Promise((resolve) => setImmediate(resolve))
    expect(changes[0]).toMatchObject({ state: 'connected', peer: expect.stringMatching(/^127\.0\.0\.1:/) })
    await other.close()
    while (changes.length === 1) await new Promise((resolve) => setImmediate(resolve))
    expect(changes[1].state).toBe('waiting')
    await link.close()
  })

  it('may be URL objects', async () => {
    await expect(openLink(new URL('nowhere://x'))).rejects.toMatchObject({ code: 'ERR_UNKNOWN_LINK' })
  })
})
