import { describe, expect, it } from 'vitest'
import { type ConfigOverrides, configure } from '../../src/base/config.ts'

describe.each(['dhcp', 'dhcp6', 'dns', 'dnsServer', 'mdns'] as const)('the numbers of %s', (section) => {
  const numbers = Object.entries(configure({})[section]).filter(([, value]) => typeof value === 'number')

  it.each(numbers)('%s is %s, and nothing that is no number of that kind', (name, standard) => {
    for (const bad of [Number.NaN, -1, Number.POSITIVE_INFINITY, '5', null]) {
      const overrides = { [section]: { [name]: bad } } as ConfigOverrides
      expect(() => configure(overrides), `${bad}`).toThrow(
        expect.objectContaining({ code: 'ERR_INVALID_ARG_VALUE', message: expect.stringContaining(`option ${section}.`) }),
      )
    }
    expect(configure({ [section]: { [name]: standard } } as ConfigOverrides)[section]).toMatchObject({ [name]: standard })
  })
})
