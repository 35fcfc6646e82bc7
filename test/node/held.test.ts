/** What holds the process, counted (alive.test.ts shows it on processes). */
import { once } from 'node:events'
import { expect, it } from 'vitest'
import { withTwoStacks } from '../support/two-stacks.ts'

it('an attempt to connect holds the process until it has ended', async () => {
  await withTwoStacks(async (here, _there, host) => {
    await here.interfaces[0].ready
    const before = host.held
    const socket = here.net.connect(80, '10.0.0.9') // nobody is there
    await new Promise((resolve) => setImmediate(resolve))
    expect(host.held).toBe(before + 1)
    socket.unref()
    expect(host.held).toBe(before)
    socket.ref()
    expect(host.held).toBe(before + 1)
    socket.destroy()
    await once(socket, 'close')
    expect(host.held).toBe(before)
  })
})
