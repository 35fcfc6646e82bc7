/** Groups of this machine by name, from the file that has them: no C library needed. */
import { readFileSync } from 'node:fs'
import { invalidArgument } from '../base/errors.ts'

/** The number of a group: of its name, its number as text, or, for an empty text, of our own. @throws NetError ERR_INVALID_ARG_VALUE. */
export function groupId(group: string | number): number {
  if (typeof group === 'number' || /^\d+$/.test(group)) return Number(group)
  if (group === '') return process.getegid?.() ?? 0
  let known = ''
  try {
    known = readFileSync('/etc/group', 'utf8')
  } catch {
    // Then there is none of that name.
  }
  const line = known.split('\n').find((l) => l.startsWith(`${group}:`))
  if (line === undefined) throw invalidArgument(`Invalid group ${JSON.stringify(group)}: this machine has no group of that name`)
  return Number(line.split(':')[2])
}
