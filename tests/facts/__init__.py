"""What AWS answers, as others recorded or documented it, and how each answer is to be read here."""
