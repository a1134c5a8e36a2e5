import { forbiddenField, invalidField, type FieldError } from '#api/errors/field-error.ts';
import { invalid } from '#api/errors/status.ts';
import { integerOf } from '#control-plane/apiserver/verbs/query.ts';

/** The least that each may be. */
const minima = { tailLines: 0, limitBytes: 1, sinceSeconds: 1 } as const;

/** What a client asks of a log has to make sense (ValidatePodLogOptions of core/validation). @throws {E_API} 400, 422 */
export function checkLogOptions(podName: string, query: URLSearchParams): void {
  const errors = Object.entries(minima).flatMap(([name, minimum]): readonly FieldError[] => {
    const value = integerOf(query, name);
    if (value === undefined || value >= minimum) return [];
    const least = minimum === 0 ? 'greater than or equal to 0' : 'greater than 0';
    return [invalidField(name, value, `must be ${least}`)];
  });
  if (query.has('sinceSeconds') && query.has('sinceTime')) {
    errors.push(forbiddenField('', 'at most one of `sinceTime` or `sinceSeconds` may be specified'));
  }
  if (errors.length > 0) throw invalid({ group: '', kind: 'PodLogOptions' }, podName, errors);
}
