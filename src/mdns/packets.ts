/** Messages that fit a packet (RFC 6762 section 17): what is too much for one goes in several, what is optional stays away. */
import { encodeMessage, type Message, message } from '../dns/message.ts'

/**
 * Answers in as many messages as they need. Additional records only where all of it fits one. A record that is too large for any packet goes in one of its
 * own, in fragments.
 */
export function responses(m: Message, mostBytes: number, compressAll: boolean): Uint8Array[] {
  const whole = encodeMessage(m, compressAll)
  if (whole.length <= mostBytes) return [whole]
  if (m.additionals.length > 0) return responses({ ...m, additionals: [] }, mostBytes, compressAll)
  return halves(m.answers, (answers) => {
    const bytes = encodeMessage({ ...m, answers }, compressAll)
    return bytes.length <= mostBytes || answers.length <= 1 ? bytes : null
  })
}

/** A query with its known answers: those that do not fit follow in messages without questions, and all but the last say so (TC, section 7.2). */
export function queries(m: Message, mostBytes: number): Uint8Array[] {
  const whole = encodeMessage(m, true)
  if (whole.length <= mostBytes) return [whole]
  if (m.answers.length === 0) {
    return halves(m.questions, (questions) => {
      const bytes = encodeMessage({ ...m, questions }, true)
      return bytes.length <= mostBytes || questions.length <= 1 ? bytes : null
    })
  }
  const parts = halves(m.answers, (answers) => {
    return encodeMessage(message({ answers }), true).length <= mostBytes || answers.length <= 1 ? answers : null
  })
  return [
    ...queries({ ...m, answers: [], truncated: true }, mostBytes),
    ...parts.map((answers, i) => encodeMessage(message({ answers, truncated: i < parts.length - 1 }), true)),
  ]
}

/** The list in pieces that `take` takes, each half of the one before until it does. */
function halves<T, R>(list: readonly T[], take: (part: T[]) => R | null): R[] {
  const part = take([...list])
  if (part !== null) return [part]
  const half = list.length >> 1
  return [...halves(list.slice(0, half), take), ...halves(list.slice(half), take)]
}
