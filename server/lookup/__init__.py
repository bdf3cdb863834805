"""Tables made once from the store so that a question is answered from memory: names, evidence."""
