import { setFlagsFromString } from 'node:v8'
import { describe, expect, it } from 'vitest'
import { callable } from '../../src/node/callable.ts'

class Thing {
  constructor(readonly n: number) {}
}

function sameHiddenClass(): (a: object, b: object) => boolean {
  setFlagsFromString('--allow-natives-syntax')
  try {
    return new Function('a', 'b', 'return %HaveSameMap(a, b)') as (a: object, b: object) => boolean
  } finally {
    setFlagsFromString('--no-allow-natives-syntax')
  }
}

describe('callable', () => {
  it('is a class that can be called, inherited from and asked for instances', () => {
    const Face = callable<[number], Thing>('Face', Thing)
    class Heir extends Face {}
    for (const made of [new Face(1), Face(1), new Heir(1)]) {
      expect(made.n).toBe(1)
      expect(made).toBeInstanceOf(Face)
    }
    expect(new Face(1).constructor).toBe(Face)
    expect(new Heir(1)).toBeInstanceOf(Heir)
    expect(Face.name).toBe('Face')
  })

  it('makes instances of one hidden class, with new and without', () => {
    const same = sameHiddenClass()
    const Face = callable<[number], Thing>('Face', Thing)
    const first = new Face(1)
    expect(same(first, new Face(2))).toBe(true)
    expect(same(first, Face(2))).toBe(true)
  })
})
