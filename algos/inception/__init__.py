"""Inception modules as a family of problems of their own."""
