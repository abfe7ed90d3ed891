/** The clients of both generations of the official TypeScript SDK. */
import { testMatrix } from './matrix.ts';
import { sdk1 } from './sdk-1.ts';
import { sdk2Auto, sdk2Legacy, sdk2Pinned } from './sdk-2.ts';

testMatrix([sdk1, sdk2Legacy, sdk2Auto, sdk2Pinned]);
