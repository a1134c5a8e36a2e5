import type {
  AdmissionAttributes,
  AdmissionContext,
  AdmissionRequest,
} from '#control-plane/apiserver/chain/admission/admission.ts';
import type { Matched, MatchIndex } from './match-index.ts';
import { findsNamespaceSelected, selectsNamespace, selectsObjects } from './selected.ts';

/** What matching looks into. */
export type MatchContext = Pick<AdmissionContext, 'kinds' | 'namespaces' | 'registry'>;

/** Those that may have a say, as far as that is known before any object is: empty for nearly all requests, at the price of a look-up. */
export function candidates<T>(
  index: MatchIndex<T>,
  attributes: AdmissionAttributes,
  { kinds, namespaces }: Pick<MatchContext, 'kinds' | 'namespaces'>,
): readonly Matched<T>[] {
  const found = index.find(kinds, attributes);
  if (found.length === 0) return found;
  return found.filter(({ constraints }) => selectsNamespace(constraints, attributes, namespaces) !== false);
}

/** Whether a candidate has a say in the request as it is now. Conditions are asked after that. @throws {E_API} 404: no such namespace */
export async function isSelected(
  { constraints }: Pick<Matched<unknown>, 'constraints'>,
  request: AdmissionRequest,
  context: MatchContext,
): Promise<boolean> {
  return (
    selectsObjects(constraints, request) && (await findsNamespaceSelected(constraints, request, context))
  );
}
