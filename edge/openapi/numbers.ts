import { z } from 'zod'

/** How many, or which. */
export const count = z.number().meta({ type: 'integer', minimum: 0 })
