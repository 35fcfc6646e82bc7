/** What a switch knows, as lines for people. */
import type { SwitchPort } from '../switch/port.ts'
import type { Switch } from '../switch/switch.ts'

/** Columns as wide as their widest word; numbers on the right. */
function table(head: readonly string[], rows: readonly (readonly (string | number)[])[]): string[] {
  const width = head.map((word, i) => Math.max(word.length, ...rows.map((row) => String(row[i]).length)))
  const line = (row: readonly (string | number)[]): string =>
    row
      .map((cell, i) => (typeof cell === 'number' ? String(cell).padStart(width[i]) : cell.padEnd(width[i])))
      .join('  ')
      .trimEnd()
  return [line(head), ...rows.map(line)]
}

function dropped(counters: Record<string, number>): number {
  return Object.entries(counters).reduce((sum, [name, n]) => (name.startsWith('drop') ? sum + n : sum), 0)
}

function frames(counters: Record<string, number>, direction: 'In' | 'Out'): number {
  return ['Ucast', 'Multicast', 'Broadcast'].reduce((sum, kind) => sum + counters[`if${direction}${kind}Pkts`], 0)
}

/** Ports, then addresses with the freshest first, then groups. */
export function switchTable(sw: Switch): string[] {
  const counters = sw.counters()
  const tree = sw.spanningTree
  const state = (port: SwitchPort): string => {
    const summary = tree?.summary(port)
    const words = [port.isUp ? 'up' : 'down', port.vlan.toString()]
    if (summary != null) words.push(summary.role, summary.state, summary.edge ? 'edge' : '', summary.rapid ? '' : 'stp')
    if (port.isMirror) words.push('mirror')
    if (port.isolated) words.push('isolated')
    return words.filter((word) => word !== '').join(' ')
  }
  const ports = sw.list.map((port) => {
    const n = counters[port.name]
    return [port.name, state(port), port.addresses, frames(n, 'In'), frames(n, 'Out'), dropped(n)]
  })
  const out = table(['PORT', 'STATE', 'ADDRESSES', 'IN', 'OUT', 'DROPPED'], ports)
  if (tree !== null) {
    const { id, cost, port } = tree.root
    out.push(
      id === tree.id ? `spanning tree: ${tree.id} is the root` : `spanning tree: ${tree.id}, root ${id} by ${port}, cost ${cost}`,
    )
  }
  const addresses = sw.addresses()
  if (addresses.length > 0) {
    const rows = addresses.map(({ mac, vlan, port, age }) => [mac, vlan, port, Math.round(age)])
    out.push(...table(['ADDRESS', 'VLAN', 'PORT', 'AGE'], rows))
  }
  const groups = sw.groups()
  if (groups.length > 0) {
    out.push(
      ...table(
        ['GROUP', 'VLAN', 'PORTS'],
        groups.map(({ group, vlan, ports: by }) => [group, vlan, by.join(',')]),
      ),
    )
  }
  return out
}
