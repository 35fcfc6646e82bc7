import { seeds } from './seeds.ts'

seeds(101, 200)
