/** What is handed to `attach` by mistake is refused there, and the stack goes on. */
import { expect, it } from 'vitest'
import { createPipe } from '../../src/link/pipe.ts'
import type { NetIf } from '../../src/netif/netif.ts'
import { createWorld } from '../../src/sim/world.ts'

it.each([
  ['nothing', undefined],
  ['null', null],
  ['a link that is still to come', Promise.resolve(createPipe()[0])],
  ['some object', { name: 'eth0', medium: 'ethernet', mtu: 1500 }],
])('%s is not a link', async (_, what) => {
  const world = createWorld()
  const stack = world.stack()
  expect(() => stack.attach(what as unknown as NetIf)).toThrow(
    expect.objectContaining({ code: 'ERR_INVALID_ARG_TYPE', message: expect.stringContaining('await openLink') }),
  )
  expect(stack.interfaces).toEqual([])
  const eth0 = stack.attach(createPipe()[0], { addresses: ['10.0.0.1/24'] })
  expect(eth0.name).toBe('eth0')
  world.run(1000)
  await world.close()
})

it('a link is one interface of a stack, not two', async () => {
  const world = createWorld()
  const stack = world.stack()
  const [link] = createPipe()
  const eth0 = stack.attach(link)
  expect(() => stack.attach(link)).toThrow(expect.objectContaining({ code: 'EBUSY' }))
  expect(stack.interfaces).toEqual([eth0])
  await world.close()
})
