/**
 * A module of Node's with some of its exports replaced.
 *
 * What is not replaced stays Node's own: functions and classes as they are, everything else (`tls.DEFAULT_MIN_VERSION`, `tls.rootCertificates`) looked up when it
 * is asked for and set where Node's code reads it.
 */
export function moduleOf<T extends object>(theirs: object, ours: object): T {
  const made = {}
  for (const [key, given] of Object.entries(Object.getOwnPropertyDescriptors(theirs))) {
    if (typeof given.value === 'function') Object.defineProperty(made, key, given)
    else {
      Object.defineProperty(made, key, {
        get: () => (theirs as Record<string, unknown>)[key],
        set(value) {
          ;(theirs as Record<string, unknown>)[key] = value // throws where Node's does
        },
        enumerable: given.enumerable,
        configurable: true,
      })
    }
  }
  for (const [key, value] of Object.entries(ours)) {
    Object.defineProperty(made, key, { value, writable: true, enumerable: true, configurable: true })
  }
  return made as T
}
