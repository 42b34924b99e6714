"""What the calls of tools tell, a module for each group of questions; `LogAnalyzer` asks them all."""
