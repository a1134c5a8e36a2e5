import { queryInteger } from '#api/wire/query.ts';
import { badRequest } from '#api/errors/status.ts';
import { describeError } from '#base/errors.ts';

/** A whole number of a query; undefined where it is not there. @throws {E_API} 400 for what is none */
export function integerOf(query: URLSearchParams, name: string): number | undefined {
  try {
    return queryInteger(query, name);
  } catch (error) {
    throw badRequest(describeError(error));
  }
}
