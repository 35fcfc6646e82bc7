import { describe, expect, it } from 'vitest'
import { BulkMemory } from '../../src/node/bulk-memory.ts'

const heap = (): number => process.memoryUsage().heapUsed
const MB = 1 << 20

describe('memory for bulk', () => {
  it('leaves the heap of a process alone that gives away little, and grows it once by 16 MiB from 64 MiB on', () => {
    const memory = new BulkMemory()
    const before = heap()
    for (let i = 0; i < 63; i++) memory.gives(MB)
    expect(heap() - before).toBeLessThan(8 * MB)
    memory.gives(MB)
    const after = heap()
    expect(after - before).toBeGreaterThan(15 * MB)
    for (let i = 0; i < 1000; i++) memory.gives(MB)
    expect(heap() - after).toBeLessThan(8 * MB)
  })
})
