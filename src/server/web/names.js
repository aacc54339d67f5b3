/**
 * Names that mean something by themselves.
 */

/** The name in which the operator speaks by default. Where names are free, nobody can come in under it. */
export const OPERATOR = "server";

/** The room of those who choose none. */
export const DEFAULT_ROOM = "lobby";
