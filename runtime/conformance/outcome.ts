/** The server answers otherwise than its clients expect. */
export class NotMet extends Error {}

/** The server says that it does not do what the point is about. */
export class NotHere extends Error {}
