/**
 * perfdhcp, Kea's many clients at once, on tap0. What it gives up or has no room for when the machine does other things too is no fault of
 * the server; that the server got each of its questions and answered each is what counts.
 */
import { expect } from 'vitest'
import { run, sh } from './lab.ts'

/** Runs `perfdhcp` with these options until 1500 clients have asked; returns how many messages of its two kinds it sent, and what it said. */
export async function perfdhcp(options: string): Promise<{ sent: [number, number]; said: string }> {
  // Whoever is not let run for a while finds a second's questions.
  sh('ip link set tap0 txqueuelen 20000')
  // Answers are late after ten seconds; three seconds after the last question it ends.
  const ran = await run(`exec perfdhcp -l tap0 -n 1500 -d 10 -d 10 -W 3000000 ${options}`, { timeoutMs: 60_000 })
  const said = ran.out + ran.err
  const [first, second] = [...said.matchAll(/sent packets: (\d+)/g)].map((m) => Number(m[1]))
  expect([first, second], said).toEqual([expect.any(Number), expect.any(Number)])
  expect(first, said).toBeGreaterThanOrEqual(1500)
  expect(second, said).toBeGreaterThanOrEqual(1000)
  return { sent: [first, second], said }
}
