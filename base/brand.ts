/** A primitive that must not be mixed with others of its shape. Made in one place, by a function that checks. */
export type Brand<T, Name extends string> = T & { readonly __brand: Name };
