/** Objects that name a secret in one member and hold it in another: environments, headers, fields of a form. */
import type { Json } from './json.ts';
import { judgeName } from './secret-name.ts';
import type { NameJudgement } from './secret-name.ts';

/** Larger objects are not pairs of a name and a value. */
export const LABELLED_MEMBERS_MAX = 32;
/** Longer labels are text of their own. */
export const LABEL_CHARS_MAX = 256;

/** Members that may name another, and those whose name may be several words: `{element: 'Password field'}`. */
const LABELS = setOf('name key k header headername variable var env id param parameter attribute property');
const SPOKEN_LABELS = setOf('selector element ref target locator label placeholder field fieldname');
/** Members that hold the value, and those that do so beside a label of several words too. */
const VALUES = setOf('content data default defaultvalue answer');
const SPOKEN_VALUES = setOf('value values val v text fieldvalue newvalue input');

function setOf(list: string): ReadonlySet<string> {
  return new Set(list.split(' '));
}

/** What an object's labels say of the member that is called `name`. */
export type LabelJudgement = (name: string) => NameJudgement;

const NOTHING: LabelJudgement = () => 'open';

export function judgeLabels(object: ReadonlyMap<string, Json>): LabelJudgement {
  if (object.size < 2 || object.size > LABELLED_MEMBERS_MAX) return NOTHING;
  let one: NameJudgement = 'open';
  let spoken: NameJudgement = 'open';
  for (const [name, label] of object) {
    if (typeof label !== 'string' || label.length > LABEL_CHARS_MAX) continue;
    const plain = plainName(name);
    const judgement = LABELS.has(plain) || SPOKEN_LABELS.has(plain) ? judgeName(label) : 'open';
    if (!/\s/.test(label.trim())) one = stronger(one, judgement);
    else if (SPOKEN_LABELS.has(plain) || plain === 'name') spoken = stronger(spoken, judgement);
  }
  if (stronger(one, spoken) === 'open') return NOTHING;
  const [word, words] = [one, stronger(one, spoken)];
  return (name) => {
    const plain = plainName(name);
    if (SPOKEN_VALUES.has(plain)) return words;
    return VALUES.has(plain) ? word : 'open';
  };
}

function plainName(name: string): string {
  return name.length > LABEL_CHARS_MAX ? '' : name.toLowerCase().replace(/[_-]/g, '');
}

const STRENGTH: readonly NameJudgement[] = ['open', 'about', 'secret'];

export function stronger(one: NameJudgement, other: NameJudgement): NameJudgement {
  return STRENGTH.indexOf(one) >= STRENGTH.indexOf(other) ? one : other;
}
