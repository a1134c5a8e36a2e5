import { objectOf, setOwn, stringMapOf, typed, type Draft } from '#api/wire/json.ts';
import { acted } from '#api/kinds/effect.ts';
import type { KindRules } from '#api/kinds/rules.ts';
import { secretCells } from '#api/table/core.ts';
import { keyPairWarnings } from '#api/warnings/key-pair.ts';
import { validateSecret, validateSecretUpdate } from '#api/validation/config.ts';

/** Rules of Secrets. */
export const secretRules: KindRules = {
  effect: acted('agent/kubelet/referenced-objects.ts'),
  defaults: [['type', 'Opaque']],
  completeDefaults: foldStringData,
  tracksGeneration: false,
  updateChecks: ['metadata changes', 'changes', 'metadata', 'object'],
  validate: validateSecret,
  validateUpdate: validateSecretUpdate,
  warnings: keyPairWarnings,
  selectableFields: ['type'],
  secretFields: ['data', 'stringData'],
  cells: (object, now) => secretCells(typed(object), now),
};

/** stringData is write-only: it ends up in data, over what data says. */
function foldStringData(secret: Draft): void {
  const entries = Object.entries(stringMapOf(secret['stringData']));
  delete secret['stringData'];
  if (entries.length === 0) return;
  const data: Draft = { ...objectOf(secret['data']) };
  for (const [key, text] of entries) setOwn(data, key, new TextEncoder().encode(text).toBase64());
  secret['data'] = data;
}
