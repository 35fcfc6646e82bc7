/** `stack.counters()` for people. */

/** One line per layer: `tcp: InSegs 12, OutSegs 11`. Zeros are left out. */
export function counterLines(counters: Record<string, Record<string, number>>): string[] {
  const lines: string[] = []
  for (const [layer, values] of Object.entries(counters)) {
    const said = Object.entries(values)
      .filter(([, n]) => n !== 0)
      .map(([name, n]) => `${name} ${n}`)
    if (said.length > 0) lines.push(`${layer}: ${said.join(', ')}`)
  }
  return lines
}
