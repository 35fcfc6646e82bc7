/** How many seeds there are, and how many bytes a full transfer has each way. */
export const SEEDS = 200
export const FULL_BYTES = 10_000_000
