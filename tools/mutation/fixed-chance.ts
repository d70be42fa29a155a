/** The same mutants get the same verdict: property tests draw the same values, and stop at the first that fails. */
import fc from "fast-check";

fc.configureGlobal({ seed: 20_260_101, endOnFailure: true });
