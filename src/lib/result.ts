/** Result: a call that may fail returns a value, so that every failure is handled where it is seen. */

export type Ok<T> = { readonly ok: true; readonly value: T };
export type Err<E> = { readonly ok: false; readonly error: E };
export type Result<T, E> = Ok<T> | Err<E>;

/** A value now or later: in-process work answers at once and pays for no promise. */
export type Awaitable<T> = T | Promise<T>;

export function ok<T>(value: T): Ok<T> {
  return { ok: true, value };
}

export function err<E>(error: E): Err<E> {
  return { ok: false, error };
}

/** The success that carries nothing. */
export const done: Ok<void> = { ok: true, value: undefined };
